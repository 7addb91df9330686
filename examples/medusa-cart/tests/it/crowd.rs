//! Many at once.

use futures_util::future::join_all;
use serde_json::json;

use crate::desk::{Customer, Desk};
use crate::place::{Place, number, on_both};

const AUTHORIZATIONS: &str = "SELECT count(*) FROM medusa_provider_book WHERE effect = 'authorize'";

on_both! {
    one_key: fifty_completions_with_one_key_make_one_order_on_sqlite,
        fifty_completions_with_one_key_make_one_order_on_postgres;
    many_keys: twenty_keys_on_one_cart_make_one_order_on_sqlite,
        twenty_keys_on_one_cart_make_one_order_on_postgres;
    last_one: of_ten_carts_with_the_last_one_one_gets_it_on_sqlite,
        of_ten_carts_with_the_last_one_one_gets_it_on_postgres;
}

/// Two processes over one server, the same keys at both.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_the_same_requests_make_one_order() {
    let place = Place::postgres().await;
    let servers = [place.server(&[]), place.server(&[])];
    let customers = [Customer::of(&servers[0].base), Customer::of(&servers[1].base)];
    let cart = customers[0].ready("variant_shirt", 1, "manual").await;
    let asks = (0..20).map(|n| (&customers[n % 2], format!("k-{}", n / 4)));
    let all = join_all(asks.map(|(customer, key)| {
        let cart = &cart;
        async move { customer.complete_patiently(cart, &key).await }
    }));
    let all = all.await;
    for got in &all {
        assert_eq!((got.status, &got.body), (200, &all[0].body));
    }
    assert_eq!(customers[1].orders().await, 1);
    assert_eq!(number(&place.store().await, AUTHORIZATIONS).await, 1);
    drop(servers);
    place.close().await;
}

async fn one_key(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let all = join_all((0..50).map(|_| desk.complete_patiently(&cart, "k-1"))).await;
    for got in &all {
        assert_eq!((got.status, &got.bytes), (200, &all[0].bytes));
    }
    assert_eq!(all.iter().filter(|got| !got.is_replayed()).count(), 1);
    assert_eq!((desk.orders().await, desk.number(AUTHORIZATIONS).await), (1, 1));
}

async fn many_keys(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.ready("variant_shirt", 1, "manual").await;
    let keys: Vec<_> = (0..20).map(|n| format!("k-{n}")).collect();
    let all = join_all(keys.iter().map(|key| desk.complete_patiently(&cart, key))).await;
    for got in &all {
        assert_eq!((got.status, &got.body), (200, &all[0].body));
    }
    assert_eq!((desk.orders().await, desk.number(AUTHORIZATIONS).await), (1, 1));
    assert_eq!(desk.number("SELECT count(*) FROM medusa_payments").await, 1);
}

async fn last_one(place: &Place) {
    let desk = Desk::open(place).await;
    let mut carts = Vec::new();
    for _ in 0..10 {
        carts.push(desk.ready("variant_last_one", 1, "manual").await);
    }
    let all = join_all(carts.iter().map(|cart| desk.complete_patiently(cart, "k"))).await;
    let (orders, refused): (Vec<_>, Vec<_>) = all.iter().partition(|got| got.status == 200);
    assert_eq!((orders.len(), refused.len()), (1, 9));
    assert!(refused.iter().all(|got| got.body["errors"][0]["code"] == json!("insufficient_inventory")));
    let cancelled = "SELECT count(*) FROM medusa_provider_book WHERE effect = 'cancel'";
    assert_eq!((desk.number(AUTHORIZATIONS).await, desk.number(cancelled).await), (10, 9));
}
