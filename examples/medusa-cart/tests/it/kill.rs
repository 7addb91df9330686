//! A server that is killed between the authorization and the order.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;

use crate::desk::Customer;
use crate::place::{Place, number, on_both, until};

const AUTHORIZED: &str = "SELECT count(*) FROM medusa_provider_book WHERE effect = 'authorize'";
const ASKED: &str = "SELECT asked FROM medusa_provider_book WHERE effect = 'authorize'";
const UNFINISHED: &str =
    "SELECT count(*) FROM workflow_idempotency_keys WHERE workflow = 'complete_cart' AND finished_at IS NULL";

on_both! {
    same_key: after_a_kill_the_same_key_makes_one_order_of_one_authorization_on_sqlite,
        after_a_kill_the_same_key_makes_one_order_of_one_authorization_on_postgres;
    nobody: after_a_kill_the_server_finishes_what_nobody_asks_for_again_on_sqlite,
        after_a_kill_the_server_finishes_what_nobody_asks_for_again_on_postgres;
    in_between: a_handler_that_is_killed_before_its_answer_has_changed_the_cart_once_on_sqlite,
        a_handler_that_is_killed_before_its_answer_has_changed_the_cart_once_on_postgres;
}

/// A purchase whose server is killed when the authorization is in the provider's book: its cart.
async fn killed_after_authorization(place: &Place) -> String {
    // The provider has it, and its answer is on its way for a minute.
    let mut server = place.server(&["--payment-delay-ms", "60000"]);
    let customer = Customer::of(&server.base);
    let cart = customer.ready("variant_shirt", 1, "manual").await;
    let path = format!("/store/carts/{cart}/complete");
    let asking = tokio::spawn(async move {
        let body = json!({});
        customer.try_send(reqwest::Method::POST, &path, Some("k-1"), &body).await
    });
    until(&place.store().await, AUTHORIZED, 1).await;
    server.child.kill().unwrap();
    assert_eq!(server.child.wait().unwrap().signal(), Some(9));
    assert!(asking.await.unwrap().is_err(), "the customer got no answer");
    assert_eq!(number(&place.store().await, UNFINISHED).await, 1);
    cart
}

async fn same_key(place: &Place) {
    let cart = killed_after_authorization(place).await;
    let server = place.server(&[]);
    let customer = Customer::of(&server.base);
    let got = customer.complete_patiently(&cart, "k-1").await;
    assert_eq!((got.status, &got.body["type"]), (200, &json!("order")));
    let store = place.store().await;
    assert_eq!((customer.orders().await, number(&store, AUTHORIZED).await), (1, 1));
    assert_eq!(number(&store, ASKED).await, 2, "the second call brought the first one's answer");
    assert_eq!(customer.complete(&cart, Some("k-1")).await.bytes, got.bytes);
}

async fn nobody(place: &Place) {
    let cart = killed_after_authorization(place).await;
    let server = place.server(&[]);
    let store = place.store().await;
    until(&store, UNFINISHED, 0).await;
    let customer = Customer::of(&server.base);
    assert_eq!((customer.orders().await, number(&store, AUTHORIZED).await), (1, 1));
    assert_eq!(customer.get(&format!("/store/orders/cart/{cart}")).await.status, 200);
}

/// What a kill between the commit of a change and that of its answer leaves behind is a change that is made, under a
/// key that has no answer yet. The client's retry gets the answer, and changes nothing.
async fn in_between(place: &Place) {
    let server = place.server(&[]);
    let (customer, store) = (Customer::of(&server.base), place.store().await);
    let cart = customer.filled("variant_shirt", 1).await;
    let (path, item) =
        (format!("/store/carts/{cart}/line-items"), json!({ "variant_id": "variant_shirt", "quantity": 2 }));
    assert_eq!(customer.post(&path, Some("k-1"), item.clone()).await.body["cart"]["items"][0]["quantity"], 3);
    assert_eq!(customer.post("/store/carts", Some("k-2"), json!({})).await.status, 200);
    let carts = number(&store, "SELECT count(*) FROM medusa_carts").await;
    drop(server);
    let forget = "DELETE FROM workflow_idempotency_keys WHERE workflow = 'http'";
    assert!(crate::place::execute(&store, forget, Vec::new()).await > 1);
    let server = place.server(&[]);
    let customer = Customer::of(&server.base);
    let again = customer.post(&path, Some("k-1"), item).await;
    assert!(!again.is_replayed());
    assert_eq!(again.body["cart"]["items"][0]["quantity"], 3);
    assert_eq!(customer.post("/store/carts", Some("k-2"), json!({})).await.status, 200);
    assert_eq!(number(&store, "SELECT count(*) FROM medusa_carts").await, carts);
}
