//! The orders. An order is written once, as clients read it.

use serde_json::Value;

use crate::cart::{Cart, order_json};
use crate::id::fresh;
use crate::payment::Payment;
use crate::sql::{Sql, args};

const NEXT: &str = "UPDATE medusa_numbers SET last = last + 1 WHERE name = 'order' RETURNING last";
const INSERT: &str = "
    INSERT INTO medusa_orders (id, display_id, cart_id, body, created_at) VALUES ($1, $2, $3, $4, $5)";
const BY_ID: &str = "SELECT body FROM medusa_orders WHERE id = $1";
const BY_CART: &str = "SELECT body FROM medusa_orders WHERE cart_id = $1";
const COUNT: &str = "SELECT count(*) FROM medusa_orders";
const CONFIRM_SWAP: &str =
    "UPDATE medusa_swaps SET confirmed_at = $2 WHERE cart_id = $1 AND confirmed_at IS NULL";
const SWAP: &str = "SELECT id FROM medusa_swaps WHERE cart_id = $1 AND confirmed_at IS NOT NULL";

/// The id under which an order is written.
pub(crate) fn id() -> String {
    fresh("order")
}

/// Writes the order of a cart.
pub(crate) async fn place<C: Sql>(
    conn: &mut C,
    cart: &Cart,
    id: &str,
    payment: Option<&Payment>,
    now: i64,
) -> sqlx::Result<Value> {
    let (display_id,) = conn.row::<(i64,)>(NEXT, args![]).await?.ok_or(sqlx::Error::RowNotFound)?;
    let order = order_json(cart, id, display_id, payment, now);
    conn.execute(INSERT, args![id, display_id, &cart.id, order.to_string(), now]).await?;
    Ok(order)
}

/// The order of this id.
pub(crate) async fn find<C: Sql>(conn: &mut C, id: &str) -> sqlx::Result<Option<Value>> {
    Ok(conn.row::<(String,)>(BY_ID, args![id]).await?.map(written))
}

/// The order of this cart.
pub(crate) async fn of_cart<C: Sql>(conn: &mut C, cart_id: &str) -> sqlx::Result<Option<Value>> {
    Ok(conn.row::<(String,)>(BY_CART, args![cart_id]).await?.map(written))
}

/// How many there are.
pub(crate) async fn count<C: Sql>(conn: &mut C) -> sqlx::Result<i64> {
    Ok(conn.row::<(i64,)>(COUNT, args![]).await?.map_or(0, |(orders,)| orders))
}

/// Confirms the swap of a cart; `false` if it was confirmed before, or there is none.
pub(crate) async fn confirm_swap<C: Sql>(conn: &mut C, cart_id: &str, now: i64) -> sqlx::Result<bool> {
    Ok(conn.execute(CONFIRM_SWAP, args![cart_id, now]).await? == 1)
}

/// The confirmed swap of a cart.
pub(crate) async fn swap_of_cart<C: Sql>(conn: &mut C, cart_id: &str) -> sqlx::Result<Option<String>> {
    Ok(conn.row::<(String,)>(SWAP, args![cart_id]).await?.map(|(id,)| id))
}

fn written((body,): (String,)) -> Value {
    serde_json::from_str(&body).unwrap_or_default()
}
