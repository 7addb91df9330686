//! A cart, read with all its rows.

use serde_json::Value;

use super::row::{Cart, Item, Method, Session, rank};
use crate::sql::{Sql, args};

const EXISTS: &str = "SELECT id FROM medusa_carts WHERE id = $1";
const CART: &str = "
    SELECT id, type, email, customer_id, details, payment_authorized_at, completed_at, created_at, updated_at
    FROM medusa_carts WHERE id = $1";
const ITEMS: &str = "
    SELECT i.id, i.variant_id, i.title, i.unit_price, i.quantity, i.metadata, i.created_at, t.name, t.rate
    FROM medusa_line_items AS i LEFT JOIN medusa_tax_lines AS t ON t.item_id = i.id
    WHERE i.cart_id = $1 ORDER BY i.created_at, i.id";
const SESSIONS: &str = "
    SELECT id, provider_id, is_selected, status, data FROM medusa_payment_sessions WHERE cart_id = $1";
const METHODS: &str =
    "SELECT id, option_id, name, price, data FROM medusa_shipping_methods WHERE cart_id = $1";

type CartColumns =
    (String, String, Option<String>, Option<String>, String, Option<i64>, Option<i64>, i64, i64);
type ItemColumns = (String, String, String, i64, i64, String, i64, Option<String>, Option<i64>);

/// Whether there is such a cart.
pub(crate) async fn exists<C: Sql>(conn: &mut C, id: &str) -> sqlx::Result<bool> {
    Ok(conn.row::<(String,)>(EXISTS, args![id]).await?.is_some())
}

/// The cart, if there is one.
pub(crate) async fn find<C: Sql>(conn: &mut C, id: &str) -> sqlx::Result<Option<Cart>> {
    let Some(columns) = conn.row::<CartColumns>(CART, args![id]).await? else { return Ok(None) };
    let mut cart = cart_of(columns);
    cart.items = conn.rows(ITEMS, args![id]).await?.into_iter().map(item_of).collect();
    cart.sessions = conn.rows(SESSIONS, args![id]).await?.into_iter().map(session_of).collect();
    cart.sessions.sort_by_key(|session| rank(&session.provider_id));
    cart.methods = conn.rows(METHODS, args![id]).await?.into_iter().map(method_of).collect();
    Ok(Some(cart))
}

fn cart_of(columns: CartColumns) -> Cart {
    let (id, kind, email, customer_id, details, payment_authorized_at, completed_at, created_at, updated_at) =
        columns;
    Cart {
        id,
        kind,
        email,
        customer_id,
        details: serde_json::from_str(&details).unwrap_or_default(),
        payment_authorized_at,
        completed_at,
        created_at,
        updated_at,
        items: Vec::new(),
        sessions: Vec::new(),
        methods: Vec::new(),
    }
}

fn item_of(columns: ItemColumns) -> Item {
    let (id, variant_id, title, unit_price, quantity, metadata, created_at, tax, rate) = columns;
    let (metadata, tax) = (json(&metadata), tax.zip(rate));
    Item { id, variant_id, title, unit_price, quantity, metadata, created_at, tax }
}

fn session_of((id, provider_id, selected, status, data): (String, String, i64, String, String)) -> Session {
    Session { id, provider_id, is_selected: selected != 0, status, data: json(&data) }
}

fn method_of((id, option_id, name, price, data): (String, String, String, i64, String)) -> Method {
    Method { id, option_id, name, price, data: json(&data) }
}

/// What this shop has written itself.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
