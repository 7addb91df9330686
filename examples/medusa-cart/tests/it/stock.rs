//! What is out of stock when a cart is completed: Medusa's cases 5 and 10, and the payment that is taken back.

use serde_json::json;

use crate::desk::Desk;
use crate::place::{Place, on_both};

const RESERVED: &str = "SELECT reserved FROM medusa_variants WHERE id = 'variant_last_one'";
const STOCKED: &str = "SELECT stocked FROM medusa_variants WHERE id = 'variant_last_one'";
const STOCK: &str = "UPDATE medusa_variants SET stocked = $1 WHERE id = 'variant_last_one'";

on_both! {
    restocked: out_of_stock_cancels_the_payment_and_after_a_restock_a_new_key_makes_the_order_on_sqlite,
        out_of_stock_cancels_the_payment_and_after_a_restock_a_new_key_makes_the_order_on_postgres;
    between: stock_taken_while_the_payment_is_authorized_is_not_promised_twice_on_sqlite,
        stock_taken_while_the_payment_is_authorized_is_not_promised_twice_on_postgres;
    at_the_line: more_than_there_is_is_refused_at_the_line_item_on_sqlite,
        more_than_there_is_is_refused_at_the_line_item_on_postgres;
}

/// Case 5.
async fn restocked(place: &Place) {
    let desk = Desk::open(place).await;
    let (first, late) = (
        desk.ready("variant_last_one", 1, "manual").await,
        desk.ready("variant_last_one", 1, "manual").await,
    );
    assert_eq!(desk.complete(&first, Some("k-1")).await.body["type"], "order");
    let got = desk.complete(&late, Some("k-2")).await;
    assert_eq!((got.status, &got.body["errors"][0]["code"]), (409, &json!("insufficient_inventory")));
    assert_eq!(got.body["errors"][0]["type"], "not_allowed");
    let again = desk.complete(&late, Some("k-2")).await;
    assert!(again.is_replayed() && again.bytes == got.bytes, "the key is finished");
    assert_eq!(again.header("retry-after"), None);
    let steps: Vec<_> = desk.journal(&late, "k-2").await.into_iter().map(|(_, point)| point).collect();
    assert!(steps.contains(&"authorize_payment.undone".to_owned()), "{steps:?}");
    let cart = desk.get(&format!("/store/carts/{late}")).await.body["cart"].clone();
    assert_eq!((&cart["payment_authorized_at"], &cart["completed_at"]), (&json!(null), &json!(null)));
    assert_eq!(desk.number("SELECT count(*) FROM medusa_provider_book WHERE effect = 'cancel'").await, 1);
    let of_late = "SELECT count(*) FROM medusa_payments AS p JOIN medusa_carts AS c ON c.id = p.cart_id
        WHERE p.canceled_at IS NOT NULL AND p.order_id IS NULL";
    assert_eq!(desk.number(of_late).await, 1);

    desk.execute(STOCK, vec![2.into()]).await;
    assert_eq!(desk.complete(&late, Some("k-3")).await.body["type"], "order");
    // Two orders' payments, and the one that was cancelled.
    assert_eq!(desk.number("SELECT count(*) FROM medusa_payments").await, 3);
    assert_eq!(desk.number("SELECT count(*) FROM medusa_payments WHERE canceled_at IS NULL").await, 2);
}

/// Case 10: five are stocked, two are promised in between, four are wanted.
async fn between(place: &Place) {
    let desk = Desk::with(place, |stub| *stub.holds.get_mut() = 1).await;
    desk.execute(STOCK, vec![5.into()]).await;
    let cart = desk.ready("variant_last_one", 4, "manual").await;
    let other = desk.ready("variant_last_one", 2, "manual").await;
    let (customer, held) = (desk.customer(), cart.clone());
    let completion = tokio::spawn(async move { customer.complete(&held, Some("k-1")).await });
    desk.payments.arrived().await;
    assert_eq!(desk.complete(&other, Some("k-2")).await.body["type"], "order");
    desk.payments.open();
    let got = completion.await.unwrap();
    assert_eq!((got.status, &got.body["errors"][0]["code"]), (409, &json!("insufficient_inventory")));
    assert_eq!((desk.number(RESERVED).await, desk.number(STOCKED).await), (2, 5));
    assert_eq!(desk.orders().await, 1);
}

async fn at_the_line(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.filled("variant_last_one", 1).await;
    let path = format!("/store/carts/{cart}/line-items");
    let more = desk.post(&path, None, json!({ "variant_id": "variant_last_one", "quantity": 1 })).await;
    assert_eq!(more.refusal(), (400, "not_allowed", Some("insufficient_inventory")));
    assert_eq!(desk.get(&format!("/store/carts/{cart}")).await.body["cart"]["items"][0]["quantity"], 1);
}
