//! The statements that write a cart. Each says how many rows it has touched, where that means something.

use serde_json::{Map, Value};

use super::row::{Cart, Item};
use crate::catalog::TAX;
use crate::id::{fresh, now};
use crate::sql::{Sql, args};

const INSERT: &str = "
    INSERT INTO medusa_carts (id, details, request_key, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (request_key) DO NOTHING";
const OF_KEY: &str = "SELECT id FROM medusa_carts WHERE request_key = $1";
const LOCK: &str = "
    UPDATE medusa_carts SET updated_at = $2 WHERE id = $1 AND completed_at IS NULL AND holder IS NULL";
const REQUEST: &str = "
    INSERT INTO medusa_requests (cart_id, request_key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const HOLD: &str = "
    UPDATE medusa_carts SET holder = $2
    WHERE id = $1 AND completed_at IS NULL AND (holder IS NULL OR holder = $2)";
const RELEASE: &str = "UPDATE medusa_carts SET holder = NULL WHERE id = $1 AND holder = $2";
const COMPLETE: &str = "
    UPDATE medusa_carts SET holder = NULL, completed_at = $3, payment_authorized_at = $3, updated_at = $3
    WHERE id = $1 AND holder = $2 AND completed_at IS NULL";
const UPDATE: &str = "UPDATE medusa_carts SET email = $2, customer_id = $3, details = $4 WHERE id = $1";
const ADD_ITEM: &str = "
    INSERT INTO medusa_line_items (id, cart_id, variant_id, title, unit_price, quantity, metadata, created_at)
    SELECT $1, $2, id, title, unit_price, $4, $5, $6 FROM medusa_variants WHERE id = $3
    ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = medusa_line_items.quantity + excluded.quantity";
const SET_QUANTITY: &str = "UPDATE medusa_line_items SET quantity = $3 WHERE cart_id = $1 AND id = $2";
const REMOVE_ITEM: &str = "DELETE FROM medusa_line_items WHERE cart_id = $1 AND id = $2";
const ADD_TAX_LINE: &str = "
    INSERT INTO medusa_tax_lines (item_id, cart_id, name, rate) VALUES ($1, $2, $3, $4)
    ON CONFLICT (item_id) DO UPDATE SET name = excluded.name, rate = excluded.rate";
const REMOVE_TAX_LINES: &str = "DELETE FROM medusa_tax_lines WHERE cart_id = $1";
const ADD_SESSION: &str = "
    INSERT INTO medusa_payment_sessions (id, cart_id, provider_id, data) VALUES ($1, $2, $3, '{}')
    ON CONFLICT (cart_id, provider_id) DO NOTHING";
const SELECT_SESSION: &str = "
    UPDATE medusa_payment_sessions SET is_selected = CASE WHEN provider_id = $2 THEN 1 ELSE 0 END
    WHERE cart_id = $1";
const SET_SESSION_DATA: &str = "
    UPDATE medusa_payment_sessions SET data = $3 WHERE cart_id = $1 AND provider_id = $2";
const SET_SESSION_STATUS: &str =
    "UPDATE medusa_payment_sessions SET status = $3 WHERE cart_id = $1 AND id = $2";
const REMOVE_SESSION: &str = "DELETE FROM medusa_payment_sessions WHERE cart_id = $1 AND provider_id = $2";
const REMOVE_METHODS: &str = "DELETE FROM medusa_shipping_methods WHERE cart_id = $1";
const ADD_METHOD: &str = "
    INSERT INTO medusa_shipping_methods (id, cart_id, option_id, name, price, data)
    VALUES ($1, $2, $3, $4, $5, $6)";

/// Inserts an empty cart, or finds the one that was created under this key.
pub(crate) async fn create<C: Sql>(
    conn: &mut C,
    details: &Map<String, Value>,
    request_key: Option<String>,
) -> sqlx::Result<(String, bool)> {
    let (id, details) = (fresh("cart"), Value::Object(details.clone()).to_string());
    let inserted = conn.execute(INSERT, args![&id, details, &request_key, now()]).await?;
    if inserted == 1 {
        return Ok((id, true));
    }
    let found = conn.row::<(String,)>(OF_KEY, args![&request_key]).await?;
    Ok((found.map_or(id, |(id,)| id), false))
}

/// Locks the cart for a change; `false` if it is completed, or a completion is under way.
pub(crate) async fn lock<C: Sql>(conn: &mut C, id: &str) -> sqlx::Result<bool> {
    Ok(conn.execute(LOCK, args![id, now()]).await? == 1)
}

/// Notes that a change is made under this key; `false` if it was made before.
pub(crate) async fn note_request<C: Sql>(conn: &mut C, id: &str, key: &str) -> sqlx::Result<bool> {
    Ok(conn.execute(REQUEST, args![id, key]).await? == 1)
}

/// Takes the cart for the completion of this key; `false` if it is completed, or another key has it.
pub(crate) async fn hold<C: Sql>(conn: &mut C, id: &str, holder: &str) -> sqlx::Result<bool> {
    Ok(conn.execute(HOLD, args![id, holder]).await? == 1)
}

/// Gives it back; `false` if this key does not hold it.
pub(crate) async fn release<C: Sql>(conn: &mut C, id: &str, holder: &str) -> sqlx::Result<bool> {
    Ok(conn.execute(RELEASE, args![id, holder]).await? == 1)
}

/// Completes it; `false` if this key does not hold it.
pub(crate) async fn complete<C: Sql>(conn: &mut C, id: &str, holder: &str, at: i64) -> sqlx::Result<bool> {
    Ok(conn.execute(COMPLETE, args![id, holder, at]).await? == 1)
}

/// Writes what the cart itself has.
pub(crate) async fn update<C: Sql>(conn: &mut C, cart: &Cart) -> sqlx::Result<()> {
    let details = Value::Object(cart.details.clone()).to_string();
    conn.execute(UPDATE, args![&cart.id, &cart.email, &cart.customer_id, details]).await.map(drop)
}

/// Adds so many of a variant; `false` if there is no such variant.
pub(crate) async fn add_item<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    variant_id: &str,
    quantity: i64,
    metadata: &Value,
) -> sqlx::Result<bool> {
    let args = args![fresh("item"), cart_id, variant_id, quantity, metadata.to_string(), now()];
    Ok(conn.execute(ADD_ITEM, args).await? == 1)
}

pub(crate) async fn set_quantity<C: Sql>(
    conn: &mut C,
    cart: &Cart,
    item: &Item,
    quantity: i64,
) -> sqlx::Result<()> {
    conn.execute(SET_QUANTITY, args![&cart.id, &item.id, quantity]).await.map(drop)
}

pub(crate) async fn remove_item<C: Sql>(conn: &mut C, cart: &Cart, item: &Item) -> sqlx::Result<()> {
    conn.execute(REMOVE_ITEM, args![&cart.id, &item.id]).await.map(drop)
}

/// One tax line for each item.
pub(crate) async fn add_tax_lines<C: Sql>(conn: &mut C, cart: &Cart) -> sqlx::Result<()> {
    for item in &cart.items {
        conn.execute(ADD_TAX_LINE, args![&item.id, &cart.id, TAX.0, TAX.1]).await?;
    }
    Ok(())
}

pub(crate) async fn remove_tax_lines<C: Sql>(conn: &mut C, cart_id: &str) -> sqlx::Result<()> {
    conn.execute(REMOVE_TAX_LINES, args![cart_id]).await.map(drop)
}

pub(crate) async fn add_session<C: Sql>(conn: &mut C, cart_id: &str, provider: &str) -> sqlx::Result<()> {
    conn.execute(ADD_SESSION, args![fresh("ps"), cart_id, provider]).await.map(drop)
}

pub(crate) async fn select_session<C: Sql>(conn: &mut C, cart_id: &str, provider: &str) -> sqlx::Result<()> {
    conn.execute(SELECT_SESSION, args![cart_id, provider]).await.map(drop)
}

pub(crate) async fn set_session_data<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    provider: &str,
    data: &Value,
) -> sqlx::Result<()> {
    conn.execute(SET_SESSION_DATA, args![cart_id, provider, data.to_string()]).await.map(drop)
}

pub(crate) async fn set_session_status<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    session_id: &str,
    status: &str,
) -> sqlx::Result<()> {
    conn.execute(SET_SESSION_STATUS, args![cart_id, session_id, status]).await.map(drop)
}

pub(crate) async fn remove_session<C: Sql>(conn: &mut C, cart_id: &str, provider: &str) -> sqlx::Result<()> {
    conn.execute(REMOVE_SESSION, args![cart_id, provider]).await.map(drop)
}

/// Chooses this way to ship instead of any other.
pub(crate) async fn set_method<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    option_id: &str,
    (name, price): (&str, i64),
    data: &Value,
) -> sqlx::Result<()> {
    conn.execute(REMOVE_METHODS, args![cart_id]).await?;
    let args = args![fresh("sm"), cart_id, option_id, name, price, data.to_string()];
    conn.execute(ADD_METHOD, args).await.map(drop)
}
