//! What Medusa's own tests ask of a completion, in the terms of this library. What is out of stock stands in `stock`.

use serde_json::json;
use workflow::Reach;

use crate::desk::Desk;
use crate::place::{Place, on_both};

/// Points and steps of a completion that came to its end.
const WHOLE: [(&str, &str); 3] = [
    ("create_tax_lines", "tax_lines_created"),
    ("authorize_payment", "payment_authorized"),
    ("place_order", "finished"),
];

on_both! {
    paid: a_paid_cart_becomes_one_order_on_sqlite, a_paid_cart_becomes_one_order_on_postgres;
    completed: a_completed_cart_answers_its_order_to_another_key_on_sqlite,
        a_completed_cart_answers_its_order_to_another_key_on_postgres;
    more: a_payment_that_requires_more_answers_the_cart_and_finishes_the_key_on_sqlite,
        a_payment_that_requires_more_answers_the_cart_and_finishes_the_key_on_postgres;
    swap: a_swap_cart_completes_its_swap_once_on_sqlite, a_swap_cart_completes_its_swap_once_on_postgres;
    without_key: two_completions_without_a_key_answer_the_same_order_on_sqlite,
        two_completions_without_a_key_answer_the_same_order_on_postgres;
    no_session: without_a_payment_session_nothing_is_stored_and_no_tax_line_left_on_sqlite,
        without_a_payment_session_nothing_is_stored_and_no_tax_line_left_on_postgres;
    pending: after_a_pending_payment_the_cart_can_still_be_changed_on_sqlite,
        after_a_pending_payment_the_cart_can_still_be_changed_on_postgres;
    no_customer: without_a_customer_nothing_is_authorized_or_reserved_on_sqlite,
        without_a_customer_nothing_is_authorized_or_reserved_on_postgres;
    hook: a_hook_completes_the_cart_under_the_id_of_its_event_on_sqlite,
        a_hook_completes_the_cart_under_the_id_of_its_event_on_postgres;
    stages: a_step_reaches_a_point_or_the_response_and_never_both_on_sqlite,
        a_step_reaches_a_point_or_the_response_and_never_both_on_postgres;
    declined: a_declined_payment_is_a_final_422_and_gives_the_cart_back_on_sqlite,
        a_declined_payment_is_a_final_422_and_gives_the_cart_back_on_postgres;
}

/// Case 1. Tax lines are made once here: what a step has reached is stored, and no later one makes them again.
async fn paid(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let got = desk.complete(&cart, Some("k-1")).await;
    assert_eq!((got.status, &got.body["type"]), (200, &json!("order")));
    let order = &got.body["data"];
    assert_eq!((&order["total"], &order["cart_id"]), (&json!(1000), &json!(cart)));
    assert_eq!(order["items"][0]["tax_lines"].as_array().unwrap().len(), 1);
    assert_eq!(desk.journal(&cart, "k-1").await, WHOLE.map(|(step, point)| (step.into(), point.into())));
    assert_eq!(desk.number("SELECT count(*) FROM medusa_provider_book").await, 1);
    assert_eq!(desk.number("SELECT count(*) FROM medusa_tax_lines").await, 1);
    assert_eq!(desk.number("SELECT count(*) FROM medusa_payments WHERE order_id IS NOT NULL").await, 1);
    assert_eq!(desk.number("SELECT reserved FROM medusa_variants WHERE id = 'variant_shirt'").await, 1);
    assert_eq!(desk.orders().await, 1);
}

/// Case 2, as since 1.19.
async fn completed(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let first = desk.complete(&cart, Some("k-1")).await;
    let other = desk.complete(&cart, Some("k-2")).await;
    assert_eq!((other.status, &other.body), (200, &first.body));
    assert!(!other.is_replayed(), "it is another key");
    assert_eq!((desk.orders().await, desk.number("SELECT count(*) FROM medusa_provider_book").await), (1, 1));
}

/// Case 3.
async fn more(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "requires_more").await;
    let got = desk.complete(&cart, Some("k-1")).await;
    assert_eq!((got.status, &got.body["type"]), (200, &json!("cart")));
    assert_eq!(got.body["payment_status"], "requires_more");
    assert_eq!(got.body["data"]["payment_session"]["status"], "requires_more");
    assert_eq!(desk.number("SELECT count(*) FROM medusa_tax_lines").await, 0);
    assert_eq!(desk.stands(&cart, "k-1").await.unwrap(), ("finished".into(), "finished".into()));

    // The customer has done what was required. The old key stays with its answer, a new one makes the order.
    desk.select(&cart, "manual").await;
    let again = desk.complete(&cart, Some("k-1")).await;
    assert!(again.is_replayed() && again.bytes == got.bytes);
    assert_eq!(desk.complete(&cart, Some("k-2")).await.body["type"], "order");
    assert_eq!(desk.orders().await, 1);
}

/// Case 4.
async fn swap(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    desk.execute("UPDATE medusa_carts SET type = 'swap' WHERE id = $1", vec![cart.as_str().into()]).await;
    let swap = "INSERT INTO medusa_swaps (id, cart_id) VALUES ('swap_1', $1)";
    desk.execute(swap, vec![cart.as_str().into()]).await;
    let got = desk.complete(&cart, Some("k-1")).await;
    assert_eq!(
        (got.status, &got.body["type"], &got.body["data"]["id"]),
        (200, &json!("swap"), &json!("swap_1"))
    );
    let confirmed = "SELECT confirmed_at FROM medusa_swaps WHERE id = 'swap_1' AND confirmed_at IS NOT NULL";
    let at = desk.number(confirmed).await;
    assert_eq!(desk.complete(&cart, Some("k-1")).await.bytes, got.bytes);
    assert_eq!(desk.complete(&cart, Some("k-2")).await.body, got.body);
    assert_eq!((desk.number(confirmed).await, desk.orders().await), (at, 0));
}

/// Case 6, as since 1.19.
async fn without_key(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let (first, second) = (desk.complete(&cart, None).await, desk.complete(&cart, None).await);
    assert_eq!((first.status, second.status, &first.body), (200, 200, &second.body));
    let (one, other) = (first.header("idempotency-key").unwrap(), second.header("idempotency-key").unwrap());
    assert!(uuid::Uuid::parse_str(one).is_ok() && one != other, "each got a key of its own");
    assert_eq!(desk.orders().await, 1);
}

/// Case 7. As in Medusa it is no final answer: with a session the same key goes on.
async fn no_session(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.filled("variant_shirt", 1).await;
    desk.cart(&format!("/store/carts/{cart}"), json!({ "email": "guest@example.com" })).await;
    let got = desk.complete(&cart, Some("k-1")).await;
    assert_eq!(got.refusal(), (400, "not_allowed", None));
    assert_eq!(got.header("idempotency-key"), Some("k-1"));
    assert_eq!(desk.number("SELECT count(*) FROM medusa_tax_lines").await, 0);
    desk.cart(&format!("/store/carts/{cart}/payment-sessions"), json!({})).await;
    assert_eq!(desk.complete(&cart, Some("k-1")).await.body["type"], "order");
}

/// Case 8.
async fn pending(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "pending").await;
    let got = desk.complete(&cart, Some("k-1")).await;
    assert_eq!((got.status, &got.body["payment_status"]), (200, &json!("pending")));
    assert_eq!(desk.number("SELECT count(*) FROM medusa_tax_lines").await, 0);
    let path = format!("/store/carts/{cart}/shipping-methods");
    desk.cart(&path, json!({ "option_id": "so_standard" })).await;
    let changed = desk.cart(&path, json!({ "option_id": "so_pickup" })).await;
    assert_eq!(changed["shipping_methods"].as_array().unwrap().len(), 1);
    assert_eq!(changed["shipping_methods"][0]["shipping_option_id"], "so_pickup");
}

/// Case 9.
async fn no_customer(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.filled("variant_shirt", 1).await;
    desk.cart(&format!("/store/carts/{cart}/payment-sessions"), json!({})).await;
    assert_eq!(desk.complete(&cart, Some("k-1")).await.refusal(), (400, "invalid_data", None));
    assert_eq!(desk.number("SELECT reserved FROM medusa_variants WHERE id = 'variant_shirt'").await, 0);
    assert_eq!(desk.number("SELECT count(*) FROM medusa_provider_book").await, 0);
    desk.cart(&format!("/store/carts/{cart}"), json!({ "email": "guest@example.com" })).await;
    assert_eq!(desk.complete(&cart, Some("k-1")).await.body["type"], "order");
}

/// Case 11.
async fn hook(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let event = |id: &str| {
        let intent = json!({ "metadata": { "cart_id": cart } });
        json!({ "id": id, "type": "payment_intent.succeeded", "data": { "object": intent } })
    };
    let keys = "SELECT count(*) FROM workflow_idempotency_keys WHERE request_path = '/stripe/hooks'";
    for _ in 0..2 {
        // An unknown event is a new key with that id and path, a known one the same key.
        assert_eq!(desk.post("/stripe/hooks", None, event("evt_1")).await.status, 200);
        assert_eq!((desk.number(keys).await, desk.orders().await), (1, 1));
    }
    let stands = desk.stands("stripe", "evt_1").await.unwrap();
    assert_eq!(stands, ("finished".into(), "finished".into()));
    // The order is there: no key is touched.
    assert_eq!(desk.post("/stripe/hooks", None, event("evt_2")).await.status, 200);
    assert_eq!((desk.number(keys).await, desk.stands("stripe", "evt_2").await), (1, None));
    // The customer comes back to the page.
    assert_eq!(desk.complete(&cart, Some("k-1")).await.body["type"], "order");
    assert_eq!((desk.orders().await, desk.number("SELECT count(*) FROM medusa_provider_book").await), (1, 1));
}

/// Case 12. What a stage returns is a point or a response, by its type: with the one the key stands there, with the
/// other it is finished, with that code and body.
async fn stages(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    desk.begin(&cart, "k-1").await;
    for (step, point) in &WHOLE[..2] {
        let stepped = desk.step(&cart, "k-1").await;
        assert_eq!(stepped.step, Some(*step));
        assert!(matches!(&stepped.reach, Reach::Point { name, .. } if name == point), "{stepped:?}");
        assert_eq!(desk.stands(&cart, "k-1").await.unwrap(), ("running".into(), (*point).into()));
    }
    let stepped = desk.step(&cart, "k-1").await;
    let Reach::Response(response) = stepped.reach else { panic!("{stepped:?}") };
    assert_eq!((stepped.step, response.status()), (Some("place_order"), 200));
    assert_eq!(desk.stands(&cart, "k-1").await.unwrap(), ("finished".into(), "finished".into()));
}

async fn declined(place: &Place) {
    let desk = Desk::with(place, |stub| stub.declines = true).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let got = desk.complete(&cart, Some("k-1")).await;
    assert_eq!(got.refusal(), (422, "payment_authorization_error", None));
    assert!(desk.complete(&cart, Some("k-1")).await.is_replayed());
    assert_eq!(desk.number("SELECT count(*) FROM medusa_tax_lines").await, 0);
    desk.select(&cart, "pending").await;
}
