//! A deadlock, which only PostgreSQL can have: its victim is told to ask again.

use medusa_cart::AnyStore;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::desk::{Desk, Got};
use crate::place::{Place, number};

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Makes a request the victim: somebody has locked `first`, and asks for `second`, which the request has.
async fn deadlocked(
    desk: &Desk,
    path: String,
    body: serde_json::Value,
    first: String,
    second: String,
) -> Got {
    let AnyStore::Postgres(store) = &desk.store else { panic!("only PostgreSQL has deadlocks") };
    let mut other = store.pool().acquire().await.unwrap().detach();
    // The request looks for a deadlock after a second, and the other not before it has been found.
    run(&mut other, "SET deadlock_timeout = '30s'; BEGIN".into()).await;
    run(&mut other, first).await;
    let customer = desk.customer();
    let request = tokio::spawn(async move { customer.send(Method::POST, &path, Some("k-1"), &body).await });
    while number(&desk.store, WAITING).await != 1 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    run(&mut other, second).await;
    run(&mut other, "ROLLBACK".into()).await;
    request.await.unwrap()
}

async fn run(conn: &mut PgConnection, sql: String) {
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

fn is_a_conflict(got: &Got) {
    assert_eq!(got.refusal(), (409, "conflict", Some("invalid_state_error")));
    assert_eq!(got.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_a_conflict_like_any_other() {
    let place = Place::postgres().await;
    let desk = Desk::open(&place).await;
    let cart = desk.filled("variant_shirt", 1).await;
    let item = desk.get(&format!("/store/carts/{cart}")).await.body["cart"]["items"][0]["id"].clone();
    let path = format!("/store/carts/{cart}/line-items/{}", item.as_str().unwrap());
    let first = format!("UPDATE medusa_line_items SET title = title WHERE cart_id = '{cart}'");
    let second = format!("UPDATE medusa_carts SET email = email WHERE id = '{cart}'");
    let got = deadlocked(&desk, path.clone(), json!({ "quantity": 2 }), first, second).await;
    is_a_conflict(&got);
    let again = desk.post(&path, Some("k-1"), json!({ "quantity": 2 })).await;
    assert_eq!(again.body["cart"]["items"][0]["quantity"], 2);
    place.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_meets_a_deadlock_goes_on_with_its_key() {
    let place = Place::postgres().await;
    let desk = Desk::open(&place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let path = format!("/store/carts/{cart}/complete");
    // The last step has the cart, and wants the stock.
    let first = "UPDATE medusa_variants SET title = title WHERE id = 'variant_shirt'".to_owned();
    let second = format!("UPDATE medusa_carts SET email = email WHERE id = '{cart}'");
    let got = deadlocked(&desk, path, json!({}), first, second).await;
    is_a_conflict(&got);
    assert_eq!(desk.stands(&cart, "k-1").await.unwrap().1, "payment_authorized");
    assert_eq!(desk.complete(&cart, Some("k-1")).await.body["type"], "order");
    assert_eq!(desk.number("SELECT count(*) FROM medusa_provider_book").await, 1);
    place.close().await;
}
