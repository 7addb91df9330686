//! The workflow `checkout` and its four steps.

use serde::Serialize;
use serde_json::json;
use workflow::{Atomic, Foreign, Halt, Response, Step, Workflow};

use crate::gateway::{Charge, Verdict};
use crate::order::Order;
use crate::point::{OrderPlaced, PaymentCaptured, StockReserved};
use crate::problem;
use crate::shop::{NotOneRow, Shop, ShopSql};
use crate::stamp::Stamp;

/// An atomic step of this shop.
type Atom<'c, C> = Atomic<'c, C, Shop, Order>;
/// A foreign step of this shop.
type Call<'c> = Foreign<'c, Shop, Order>;

/// Takes the stock, charges the card, places the order, tells the warehouse.
///
/// A declined order is taken back by ordinary steps: the decline travels in the recovery points, and `place_order`
/// removes the order and gives its stock back in the same transaction that decides the answer.
pub fn checkout<C: ShopSql>() -> Workflow<C, Shop, Order> {
    Workflow::new("checkout")
        .atomic("reserve_stock", reserve_stock) // started          → stock_reserved
        .foreign("capture_payment", capture_payment) // stock_reserved   → payment_captured
        .atomic("place_order", place_order) // payment_captured → order_placed
        .foreign("notify_warehouse", notify_warehouse) // order_placed     → finished
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

async fn capture_payment(cx: Call<'_>, _: StockReserved) -> Step<PaymentCaptured> {
    let charge = Charge::of(cx.request());
    Ok(match cx.app.gateway.charge(&Stamp::of(&cx), &charge).await.map_err(Halt::of)? {
        Verdict::Captured { charge_id } => PaymentCaptured::Charged { charge_id },
        Verdict::Declined { reason } => PaymentCaptured::Declined { reason },
    })
}

async fn place_order<C: ShopSql>(cx: Atom<'_, C>, payment: PaymentCaptured) -> Step<OrderPlaced> {
    let (scope, order) = (cx.key.scope(), cx.request());
    match payment {
        PaymentCaptured::Charged { charge_id } => {
            one_row("placing the order", cx.conn.place_order(scope, &order.order_id, &charge_id).await?)?;
            cx.stage("receipt", &json!({ "order_id": order.order_id }))?;
            Ok(OrderPlaced::Placed { charge_id, nonce: nonce()? })
        }
        PaymentCaptured::Declined { reason } => {
            one_row("removing the order", cx.conn.remove_order(scope, &order.order_id).await?)?;
            one_row("giving the stock back", cx.conn.give_back(&order.sku, order.qty).await?)?;
            Ok(OrderPlaced::Removed { reason })
        }
    }
}

async fn notify_warehouse(cx: Call<'_>, placed: OrderPlaced) -> Step<Response> {
    let order = cx.request();
    let (charge_id, nonce) = match placed {
        OrderPlaced::Placed { charge_id, nonce } => (charge_id, nonce),
        OrderPlaced::Removed { reason } => return Ok(problem::declined(&reason)),
    };
    cx.app.warehouse.ship(&Stamp::of(&cx), &order.order_id).await?;
    let receipt = Receipt {
        order_id: &order.order_id,
        charge_id: &charge_id,
        amount: order.amount,
        currency: &order.currency,
        nonce: &nonce,
    };
    Ok(Response::json(201, &receipt)?)
}

/// What a placed order answers.
#[derive(Serialize)]
struct Receipt<'a> {
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
mod tests {
    use super::*;

    #[test]
    fn the_workflow_is_the_table_of_the_readme() {
        let workflow = checkout::<sqlx::SqliteConnection>();
        workflow.verify().unwrap();
        let table = "\
step              kind     from              reaches
reserve_stock     atomic   started           stock_reserved
capture_payment   foreign  stock_reserved    payment_captured
place_order       atomic   payment_captured  order_placed
notify_warehouse  foreign  order_placed      finished
";
        assert_eq!(workflow.to_string(), table);
    }
}
