//! The workflow `checkout`: its four steps, how they are tried again, and how they are taken back.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use workflow::{Atomic, Foreign, Halt, Response, Retry, RetryAfter, Step, Workflow};

use crate::gateway::{Charge, GatewayError, Verdict};
use crate::order::Order;
use crate::point::{OrderPlaced, PaymentCaptured, StockReserved};
use crate::problem;
use crate::shop::{NotOneRow, Shop, ShopSql};
use crate::stamp::Stamp;

/// An atomic step of this shop.
type Atom<'c, C> = Atomic<'c, C, Shop, Order>;
/// A foreign step of this shop.
type Call<'c> = Foreign<'c, Shop, Order>;

/// How long a gateway remembers an effect key: 24 hours at Stripe. After that a repetition might be a second charge, so
/// no attempt begins any more, and a person has to decide.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a refund is tried: an undo has no time limit, but so many pauses of a minute at the most end within the
/// window.
const REFUNDS: u32 = 1_440;

/// How a call to the outside is tried again: short pauses are waited for while the caller waits too, and after a longer
/// one whoever asks goes on.
fn patiently(attempts: u32) -> Retry {
    Retry::times(attempts)
        .backoff(Duration::from_millis(200), 2.0, Duration::from_secs(60))
        .in_place(Duration::from_secs(5))
}

/// Takes the stock, charges the card, places the order, tells the warehouse.
///
/// A decline is a final answer: the undo before it gives the stock back, and then it is stored. A cancel takes back what
/// was reached, the charge too. From `order_placed` on nothing is taken back any more.
pub fn checkout<C: ShopSql>() -> Workflow<C, Shop, Order> {
    Workflow::new("checkout")
        .cancelled(problem::cancelled())
        .atomic("reserve_stock", reserve_stock) // started          → stock_reserved
        .undo(give_back_stock)
        .foreign("capture_payment", capture_payment) // stock_reserved   → payment_captured
        .retry(patiently(u32::MAX))
        .time_limit(WINDOW)
        .undo(refund)
        .retry(patiently(REFUNDS))
        .atomic("place_order", place_order) // payment_captured → order_placed
        .point_of_no_return()
        .foreign("notify_warehouse", notify_warehouse) // order_placed     → finished
        .retry(patiently(u32::MAX))
        .time_limit(WINDOW)
        .build()
}

async fn reserve_stock<C: ShopSql>(cx: Atom<'_, C>, order: Order) -> Step<StockReserved> {
    if !cx.conn.insert_order(cx.key.scope(), &order).await? {
        Err(problem::order_exists(&order.order_id))?;
    }
    if !cx.conn.take_stock(&order.sku, order.qty, cx.app.opening_stock).await? {
        Err(problem::out_of_stock(&order.sku, order.qty))?;
    }
    Ok(StockReserved)
}

/// The undo of `reserve_stock`.
async fn give_back_stock<C: ShopSql>(cx: Atom<'_, C>, _: StockReserved) -> Step<()> {
    let order = cx.request();
    one_row("removing the order", cx.conn.remove_order(cx.key.scope(), &order.order_id).await?)?;
    one_row("giving the stock back", cx.conn.give_back(&order.sku, order.qty).await?)?;
    Ok(())
}

async fn capture_payment(cx: Call<'_>, _: StockReserved) -> Step<PaymentCaptured> {
    let charge = Charge::of(cx.request());
    match cx.app.gateway.charge(&Stamp::of(&cx), &charge).await.map_err(charge_failed)? {
        Verdict::Captured { charge_id } => Ok(PaymentCaptured { charge_id }),
        Verdict::Declined { reason } => Err(problem::declined(&reason))?,
    }
}

/// A gateway that refuses the key says nothing else while it remembers it. No attempt is left after that, so the key is
/// parked at once.
fn charge_failed(error: GatewayError) -> Halt {
    match error {
        GatewayError::Refused(_) => RetryAfter::new(WINDOW, error).into(),
        error => error.into(),
    }
}

/// The undo of `capture_payment`: another call than the charge, with an effect key of its own.
async fn refund(cx: Call<'_>, captured: PaymentCaptured) -> Step<()> {
    let stamp = Stamp::of(&cx).named("undo:capture_payment");
    let refund_id = cx.app.gateway.refund(&stamp, &captured.charge_id).await?;
    tracing::info!(refund_id, "refunded");
    Ok(())
}

async fn place_order<C: ShopSql>(cx: Atom<'_, C>, captured: PaymentCaptured) -> Step<OrderPlaced> {
    let (order, charge_id) = (cx.request(), captured.charge_id);
    let placed = cx.conn.place_order(cx.key.scope(), &order.order_id, &charge_id).await?;
    one_row("placing the order", placed)?;
    cx.stage("receipt", &json!({ "order_id": order.order_id }))?;
    Ok(OrderPlaced { charge_id, nonce: nonce()? })
}

async fn notify_warehouse(cx: Call<'_>, placed: OrderPlaced) -> Step<Response> {
    let order = cx.request();
    cx.app.warehouse.ship(&Stamp::of(&cx), &order.order_id).await.map_err(Halt::of)?;
    let receipt = Receipt {
        order_id: &order.order_id,
        charge_id: &placed.charge_id,
        amount: order.amount,
        currency: &order.currency,
        nonce: &placed.nonce,
    };
    Ok(Response::json(201, &receipt)?)
}

/// What a placed order answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Receipt<'a> {
    order_id: &'a str,
    charge_id: &'a str,
    amount: i64,
    currency: &'a str,
    nonce: &'a str,
}

fn one_row(doing: &'static str, rows: u64) -> Result<(), NotOneRow> {
    if rows == 1 { Ok(()) } else { Err(NotOneRow { doing, rows }) }
}

/// 128 random bits.
fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests;
