//! The keys of a Medusa v1 are taken over: from a dump of its table, and from one with the same columns in SQLite.

use std::time::Duration;

use medusa_cart::{AnyStore, Left, Summary};
use serde_json::json;

use crate::desk::Desk;
use crate::place::{Place, number, on_both};

/// Where a table of Medusa v1 stands in each database. SQLite has neither its types nor its way to add a key.
async fn dumped(desk: &Desk) {
    let dump = include_str!("dump.sql");
    match &desk.store {
        AnyStore::Postgres(store) => drop(sqlx::raw_sql(dump).execute(store.pool()).await.unwrap()),
        AnyStore::Sqlite(store) => {
            let dump = dump
                .replace("'started'::character varying", "'started'")
                .replace("DEFAULT now() NOT NULL", "");
            let dump = dump
                .replace("ALTER TABLE ONLY idempotency_key ADD CONSTRAINT", "-- ")
                .replace("USING btree ", "");
            sqlx::raw_sql(sqlx::AssertSqlSafe(dump)).execute(store.pool()).await.map(drop).unwrap();
        }
    }
}

/// A cart that Medusa had, under the id that it had there.
async fn cart(desk: &Desk, id: &'static str, variant_id: &str) {
    let made = desk.ready(variant_id, 1, "manual").await;
    for sql in [
        "UPDATE medusa_line_items SET cart_id = $1 WHERE cart_id = $2",
        "UPDATE medusa_payment_sessions SET cart_id = $1 WHERE cart_id = $2",
        "UPDATE medusa_carts SET id = $1 WHERE id = $2",
    ] {
        desk.execute(sql, vec![id.into(), made.as_str().into()]).await;
    }
}

/// A payment that Medusa had authorized.
async fn paid(desk: &Desk, cart_id: &'static str) {
    let sql = "INSERT INTO medusa_payments (id, cart_id, provider_id, session_id, amount, created_at)
        SELECT 'pay_' || $1, $1, 'manual', id, 1000, 1 FROM medusa_payment_sessions
        WHERE cart_id = $1 AND provider_id = 'manual'";
    assert_eq!(desk.execute(sql, vec![cart_id.into()]).await, 1);
}

async fn a_medusa(place: &Place) -> Desk {
    let desk = Desk::open(place).await;
    dumped(&desk).await;
    for id in
        ["cart_started", "cart_taxed", "cart_paid", "cart_done", "cart_odd", "cart_unpaid", "cart_hooked"]
    {
        cart(&desk, id, "variant_shirt").await;
    }
    cart(&desk, "cart_short", "variant_last_one").await;
    desk.execute("UPDATE medusa_variants SET reserved = 1 WHERE id = 'variant_last_one'", Vec::new()).await;
    paid(&desk, "cart_paid").await;
    paid(&desk, "cart_short").await;
    desk
}

/// The key of a row of the dump.
fn key(last: &str) -> String {
    format!("3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c0{last}")
}

const AUTHORIZED: &str = "SELECT count(*) FROM medusa_provider_book WHERE effect = 'authorize'";
const OF_PAID: &str = "SELECT count(*) FROM medusa_provider_book AS b
    JOIN medusa_payment_sessions AS s ON s.id = b.session_id WHERE s.cart_id = 'cart_paid'";

on_both! {
    taken_over: unfinished_keys_are_finished_from_where_they_stood_on_sqlite,
        unfinished_keys_are_finished_from_where_they_stood_on_postgres;
    asked_again: an_adopted_key_is_asked_for_again_over_http_on_sqlite,
        an_adopted_key_is_asked_for_again_over_http_on_postgres;
    twice: an_adoption_that_is_run_again_changes_nothing_on_sqlite,
        an_adoption_that_is_run_again_changes_nothing_on_postgres;
    killed: an_adoption_that_is_killed_in_the_middle_is_finished_by_the_next_one_on_sqlite,
        an_adoption_that_is_killed_in_the_middle_is_finished_by_the_next_one_on_postgres;
}

async fn taken_over(place: &Place) {
    let desk = a_medusa(place).await;
    let summary = desk.adopt().await;
    assert_eq!(
        (summary.replayable, summary.finished, summary.there, summary.others),
        (1, 5, 0, 2),
        "{summary}"
    );
    let left = [
        (key("5"), Left::UnknownPoint("gift_cards_checked".into())),
        (key("6"), Left::NoPayment),
        (key("7"), Left::NoCart),
        (key("8"), Left::NoResponse),
    ];
    assert_eq!(summary.left, left, "{summary}");
    // Started, taxed, paid and hooked have orders; short is out of stock, and its payment was cancelled.
    assert_eq!(desk.orders().await, 4);
    assert_eq!((desk.number(AUTHORIZED).await, desk.number(OF_PAID).await), (3, 0), "paid is not paid again");
    assert_eq!(desk.number("SELECT count(*) FROM medusa_provider_book WHERE effect = 'cancel'").await, 1);
    let of_paid = "SELECT count(*) FROM medusa_payments WHERE id = 'pay_cart_paid' AND order_id IS NOT NULL";
    assert_eq!(desk.number(of_paid).await, 1, "the order has the payment that was there");
    let of_short =
        "SELECT count(*) FROM medusa_payments WHERE id = 'pay_cart_short' AND canceled_at IS NOT NULL";
    assert_eq!(desk.number(of_short).await, 1);
    let points: Vec<_> = desk.journal("cart_paid", &key("3")).await;
    assert_eq!(points.last().unwrap(), &("place_order".to_owned(), "finished".to_owned()));
    untouched(&desk).await;
}

/// Medusa's table is as it was, and what was left alone has no key here.
async fn untouched(desk: &Desk) {
    assert_eq!(desk.number("SELECT count(*) FROM idempotency_key").await, 12);
    assert_eq!(
        desk.number("SELECT count(*) FROM idempotency_key WHERE recovery_point <> 'finished'").await,
        9
    );
    assert_eq!(desk.stands("cart_odd", &key("5")).await, None);
    assert_eq!(desk.number("SELECT count(*) FROM medusa_carts WHERE holder IS NOT NULL").await, 0);
}

async fn asked_again(place: &Place) {
    let desk = a_medusa(place).await;
    desk.adopt().await;
    let done = desk.complete("cart_done", Some(&key("4"))).await;
    assert!(done.is_replayed());
    let order = json!({ "id": "order_01HEXF5D", "total": 1000, "object": "order" });
    assert_eq!((done.status, &done.body), (200, &json!({ "type": "order", "data": order })));
    let paid = desk.complete("cart_paid", Some(&key("3"))).await;
    assert!(paid.is_replayed() && paid.body["type"] == "order");
    let short = desk.complete("cart_short", Some(&key("c"))).await;
    assert_eq!((short.status, short.is_replayed()), (409, true));
    let intent = json!({ "metadata": { "cart_id": "cart_hooked" } });
    let (id, r#type) = ("evt_3OAvXy2eZvKYlo2C1", "payment_intent.succeeded");
    let event = json!({ "id": id, "type": r#type, "data": { "object": intent } });
    assert_eq!(desk.post("/stripe/hooks", None, event).await.status, 200);
    assert_eq!(desk.orders().await, 4);
}

async fn twice(place: &Place) {
    let desk = a_medusa(place).await;
    let (first, second) = (desk.adopt().await, desk.adopt().await);
    assert_eq!((second.replayable, second.finished, second.there), (0, 0, 6), "{second}");
    assert_eq!((second.others, &second.left), (first.others, &first.left));
    assert_eq!((desk.orders().await, desk.number(AUTHORIZED).await), (4, 3));
    untouched(&desk).await;
}

async fn killed(place: &Place) {
    let desk = a_medusa(place).await;
    for asked in 1..=2 {
        let mut child = place.command(&["adopt", "--payment-delay-ms", "60000"]).spawn().unwrap();
        let started = std::time::Instant::now();
        // Each is killed while a provider's answer is on its way to it.
        while number(&desk.store, "SELECT CAST(coalesce(sum(asked), 0) AS bigint) FROM medusa_provider_book")
            .await
            < asked
        {
            assert!(started.elapsed() < Duration::from_secs(60), "it authorizes nothing");
            assert_eq!(child.try_wait().unwrap(), None);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = place.command(&["adopt"]).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("left alone  4") && said.contains("`gift_cards_checked`"), "{said}");
    let now: Summary = desk.adopt().await;
    assert_eq!((now.replayable, now.finished, now.there), (0, 0, 6), "{now}");
    assert_eq!((desk.orders().await, desk.number(AUTHORIZED).await, desk.number(OF_PAID).await), (4, 3, 0));
    untouched(&desk).await;
}
