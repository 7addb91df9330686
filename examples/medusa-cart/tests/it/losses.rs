//! Where Medusa v1 loses, and this does not. The README names each of these tests.

use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::json;

use crate::desk::Desk;
use crate::place::{Place, on_both};

const AUTHORIZED: &str = "SELECT count(*) FROM medusa_provider_book WHERE effect = 'authorize'";

on_both! {
    kept: the_clients_own_key_is_kept_and_its_second_request_runs_nothing_on_sqlite,
        the_clients_own_key_is_kept_and_its_second_request_runs_nothing_on_postgres;
    created: a_retried_create_makes_one_cart_on_sqlite, a_retried_create_makes_one_cart_on_postgres;
    added: a_retried_line_item_is_added_once_on_sqlite, a_retried_line_item_is_added_once_on_postgres;
    locked: a_key_that_runs_is_locked_and_says_when_to_ask_again_on_sqlite,
        a_key_that_runs_is_locked_and_says_when_to_ask_again_on_postgres;
    unknown: an_unknown_recovery_point_is_refused_and_left_as_it_is_on_sqlite,
        an_unknown_recovery_point_is_refused_and_left_as_it_is_on_postgres;
    scoped: the_same_key_at_two_carts_is_two_keys_on_sqlite, the_same_key_at_two_carts_is_two_keys_on_postgres;
    compared: another_body_or_route_under_a_key_is_refused_on_sqlite,
        another_body_or_route_under_a_key_is_refused_on_postgres;
    held: a_cart_that_is_being_completed_is_not_changed_on_sqlite,
        a_cart_that_is_being_completed_is_not_changed_on_postgres;
    recorded: a_lost_answer_is_recorded_and_asked_for_again_with_the_same_effect_key_on_sqlite,
        a_lost_answer_is_recorded_and_asked_for_again_with_the_same_effect_key_on_postgres;
    loser: the_loser_of_a_race_leaves_the_winners_tax_lines_alone_on_sqlite,
        the_loser_of_a_race_leaves_the_winners_tax_lines_alone_on_postgres;
    forgotten: keys_past_their_retention_are_forgotten_and_unfinished_ones_never_on_sqlite,
        keys_past_their_retention_are_forgotten_and_unfinished_ones_never_on_postgres;
    told: a_replay_says_that_it_is_one_on_sqlite, a_replay_says_that_it_is_one_on_postgres;
}

async fn kept(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
    let first = desk.complete(&cart, Some(key)).await;
    assert_eq!(first.header("idempotency-key"), Some(key));
    assert_eq!(desk.stands(&cart, key).await.unwrap().0, "finished");
    let again = desk.complete(&cart, Some(key)).await;
    assert_eq!((again.bytes, desk.payments.asked.load(Ordering::SeqCst)), (first.bytes, 1));
}

async fn created(place: &Place) {
    let desk = Desk::open(place).await;
    let body = json!({ "items": [{ "variant_id": "variant_shirt", "quantity": 1 }] });
    let first = desk.post("/store/carts", Some("k-1"), body.clone()).await;
    let again = desk.post("/store/carts", Some("k-1"), body).await;
    assert_eq!((first.status, &first.bytes), (200, &again.bytes));
    assert_eq!(desk.number("SELECT count(*) FROM medusa_carts").await, 1);
}

async fn added(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.filled("variant_shirt", 1).await;
    let (path, body) =
        (format!("/store/carts/{cart}/line-items"), json!({ "variant_id": "variant_shirt", "quantity": 2 }));
    for _ in 0..3 {
        let got = desk.post(&path, Some("k-1"), body.clone()).await;
        assert_eq!(got.body["cart"]["items"][0]["quantity"], 3);
    }
    assert_eq!(desk.post(&path, Some("k-2"), body).await.body["cart"]["items"][0]["quantity"], 5);
}

async fn locked(place: &Place) {
    let desk = Desk::with(place, |stub| *stub.holds.get_mut() = 1).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let (customer, held) = (desk.customer(), cart.clone());
    let running = tokio::spawn(async move { customer.complete(&held, Some("k-1")).await });
    desk.payments.arrived().await;
    let other_key = desk.complete(&cart, Some("k-2")).await;
    for got in [desk.complete(&cart, Some("k-1")).await, other_key] {
        assert_eq!(got.refusal(), (409, "conflict", Some("invalid_state_error")));
        let seconds: u64 = got.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=300).contains(&seconds), "{seconds}");
    }
    desk.payments.open();
    assert_eq!(running.await.unwrap().body["type"], "order");
    assert_eq!((desk.orders().await, desk.number(AUTHORIZED).await), (1, 1));
}

async fn unknown(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.filled("variant_shirt", 1).await;
    assert_eq!(desk.complete(&cart, Some("k-1")).await.status, 400);
    desk.execute(
        "UPDATE workflow_idempotency_keys SET recovery_point = 'zzz' WHERE scope = $1",
        vec![cart.as_str().into()],
    )
    .await;
    for _ in 0..2 {
        let got = desk.complete(&cart, Some("k-1")).await;
        assert_eq!(got.refusal(), (500, "unknown_error", Some("unknown_error")));
        assert_eq!(desk.stands(&cart, "k-1").await.unwrap(), ("running".into(), "zzz".into()));
    }
}

async fn scoped(place: &Place) {
    let desk = Desk::open(place).await;
    let (one, other) =
        (desk.ready("variant_shirt", 1, "manual").await, desk.ready("variant_shirt", 2, "manual").await);
    let (first, second) = (desk.complete(&one, Some("k")).await, desk.complete(&other, Some("k")).await);
    assert_ne!(first.body["data"]["id"], second.body["data"]["id"]);
    assert_eq!(desk.orders().await, 2);
}

async fn compared(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let complete = format!("/store/carts/{cart}/complete");
    let first = desk.complete(&cart, Some("k")).await;
    let others = [
        (complete.clone(), json!({ "gift": true })),
        (format!("{complete}?currency=eur"), json!({})),
        (format!("/store/carts/{cart}/line-items"), json!({ "variant_id": "variant_shirt", "quantity": 1 })),
    ];
    for (path, body) in others {
        let got = desk.post(&path, Some("k"), body).await;
        assert_eq!(got.refusal(), (422, "invalid_data", Some("idempotency_key_reused")), "{path}");
    }
    let twice = desk.post(&complete, Some("k-2"), json!({ "cart_id": "cart_other" })).await;
    assert_eq!(twice.refusal(), (400, "invalid_data", None), "the cart stands in the path");
    assert_eq!(desk.complete(&cart, Some("k")).await.bytes, first.bytes);
}

async fn held(place: &Place) {
    let desk = Desk::with(place, |stub| *stub.holds.get_mut() = 1).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let (customer, completing) = (desk.customer(), cart.clone());
    let running = tokio::spawn(async move { customer.complete(&completing, Some("k-1")).await });
    desk.payments.arrived().await;
    let (path, item) =
        (format!("/store/carts/{cart}/line-items"), json!({ "variant_id": "variant_shirt", "quantity": 9 }));
    let got = desk.post(&path, Some("k-2"), item.clone()).await;
    assert_eq!(
        (got.refusal(), got.header("retry-after")),
        ((409, "conflict", Some("invalid_state_error")), Some("1"))
    );
    desk.payments.open();
    let order = running.await.unwrap();
    assert_eq!((&order.body["data"]["total"], order.status), (&json!(1000), 200));
    let got = desk.post(&path, Some("k-2"), item).await;
    assert_eq!(got.refusal(), (400, "not_allowed", None), "the conflict was not stored");
}

async fn recorded(place: &Place) {
    let desk = Desk::with(place, |stub| *stub.losses.get_mut() = 1).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let got = desk.complete_patiently(&cart, "k-1").await;
    assert_eq!(got.body["type"], "order");
    assert_eq!(desk.number("SELECT count(*) FROM workflow_failed_attempts").await, 1);
    assert_eq!(desk.payments.asked.load(Ordering::SeqCst), 2);
    assert_eq!(desk.number(AUTHORIZED).await, 1, "one effect key");
}

/// In Medusa the loser of a race between storefront and hook removed the tax lines of the winner.
async fn loser(place: &Place) {
    let desk = Desk::with(place, |stub| *stub.holds.get_mut() = 1).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let event = json!({
        "id": "evt_1", "type": "payment_intent.succeeded", "data": { "object": { "metadata": { "cart_id": cart } } },
    });
    let (customer, completing) = (desk.customer(), cart.clone());
    let winner = tokio::spawn(async move { customer.complete(&completing, Some("k-1")).await });
    desk.payments.arrived().await;
    assert_eq!(desk.post("/stripe/hooks", None, event.clone()).await.status, 409);
    assert_eq!(desk.number("SELECT count(*) FROM medusa_tax_lines").await, 1);
    desk.payments.open();
    let order = winner.await.unwrap();
    assert_eq!(order.body["data"]["items"][0]["tax_lines"].as_array().unwrap().len(), 1);
    assert_eq!(desk.post("/stripe/hooks", None, event).await.status, 200);
    assert_eq!((desk.orders().await, desk.number(AUTHORIZED).await), (1, 1));
}

async fn forgotten(place: &Place) {
    let desk = Desk::open(place).await;
    let done = desk.ready("variant_shirt", 1, "manual").await;
    let open = desk.filled("variant_shirt", 1).await;
    assert_eq!(desk.complete(&done, Some("k-1")).await.status, 200);
    assert_eq!(desk.complete(&open, Some("k-1")).await.status, 400);
    desk.forget().await;
    assert!(desk.stands(&done, "k-1").await.is_some(), "it is still replayed");
    desk.outlive().await;
    assert!(desk.forget().await > 0);
    assert_eq!(desk.stands(&done, "k-1").await, None);
    assert_eq!(desk.stands(&open, "k-1").await.unwrap().0, "running");
    assert_eq!(desk.number("SELECT count(*) FROM workflow_recovery_points").await, 0);
    assert_eq!(desk.complete(&done, Some("k-1")).await.body["type"], "order", "the cart has its order");
    assert_eq!(desk.orders().await, 1);
}

async fn told(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let path = format!("/store/carts/{cart}/complete");
    let first = desk.complete(&cart, Some("k-1")).await;
    let again = desk.send(Method::POST, &path, Some("\"k-1\""), &json!({})).await;
    assert!(!first.is_replayed() && again.is_replayed());
    let exposed = again.header("access-control-expose-headers").unwrap().to_lowercase();
    assert!(exposed.contains("idempotency-key") && exposed.contains("idempotent-replayed"));
    assert_eq!(again.header("idempotency-key"), Some("\"k-1\""), "quoted and bare are the same key");
}
