//! The payments: what a provider has authorized for a cart.

use serde_json::{Value, json};

use crate::catalog::CURRENCY;
use crate::id::time;
use crate::point::Charge;
use crate::sql::{Sql, args};

const KEEP: &str = "
    INSERT INTO medusa_payments (id, cart_id, order_id, provider_id, session_id, amount, canceled_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (id) DO UPDATE SET order_id = excluded.order_id, canceled_at = excluded.canceled_at";
const OPEN: &str = "
    SELECT id, provider_id, session_id, amount FROM medusa_payments
    WHERE cart_id = $1 AND order_id IS NULL AND canceled_at IS NULL ORDER BY created_at LIMIT 1";

/// A payment that is authorized.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) charge: Charge,
}

impl Payment {
    /// The payment as clients read it.
    pub(crate) fn json(&self, cart_id: &str, order_id: Option<&str>, now: i64) -> Value {
        json!({
            "id": self.id, "cart_id": cart_id, "order_id": order_id, "amount": self.charge.amount,
            "currency_code": CURRENCY, "amount_refunded": 0, "provider_id": self.charge.provider_id,
            "data": {}, "captured_at": null, "canceled_at": null, "created_at": time(now),
        })
    }
}

/// Keeps a payment of an order.
pub(crate) async fn keep<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    order_id: &str,
    payment: &Payment,
    now: i64,
) -> sqlx::Result<()> {
    write(conn, cart_id, Some(order_id), payment, None, now).await
}

/// Keeps a payment that was cancelled.
pub(crate) async fn keep_cancelled<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    payment: &Payment,
    now: i64,
) -> sqlx::Result<()> {
    write(conn, cart_id, None, payment, Some(now), now).await
}

async fn write<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    order_id: Option<&str>,
    payment: &Payment,
    canceled_at: Option<i64>,
    now: i64,
) -> sqlx::Result<()> {
    let Payment { id, charge } = payment;
    let order_id = &order_id.map(str::to_owned);
    let args = args![
        id,
        cart_id,
        order_id,
        &charge.provider_id,
        &charge.session_id,
        charge.amount,
        canceled_at,
        now
    ];
    conn.execute(KEEP, args).await.map(drop)
}

/// The payment of a cart that is authorized and belongs to no order yet.
pub(crate) async fn open<C: Sql>(conn: &mut C, cart_id: &str) -> sqlx::Result<Option<Payment>> {
    let found = conn.row::<(String, String, String, i64)>(OPEN, args![cart_id]).await?;
    Ok(found.map(|(id, provider_id, session_id, amount)| Payment {
        id,
        charge: Charge { provider_id, session_id, amount },
    }))
}
