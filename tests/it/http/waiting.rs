//! A key that somebody has just now: told at once, waited for, or asked about elsewhere.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use serde_json::{Value, json};
use workflow_axum::Settings;

use super::shop::{Got, Shop, order, post_order, request, router, send};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

async fn a_duplicate_is_told_that_the_first_is_in_progress<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default());
    let first = tokio::spawn({
        let server = server.clone();
        async move { post_order(&server, "k", &order("o-1")).await }
    });
    shop.arrived().await;
    let busy = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((busy.status, &*busy.problem()), (409, "in-progress"));
    let seconds: u64 = busy.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let other = post_order(&server, "k", &order("o-2")).await;
    assert_eq!(other.problem(), "key-reused", "a different request under a running key is told at once");
    shop.open();
    assert_eq!(first.await.unwrap().status, 201);
    assert_eq!(shop.runs(), 1);
}

async fn many_duplicates_wait_for_the_first_and_get_its_bytes<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default());
    let first = tokio::spawn({
        let server = server.clone();
        async move { post_order(&server, "k", &order("o-1")).await }
    });
    shop.arrived().await;
    let waiting = |prefer: &'static str| {
        let request = request("POST", "/orders", "k").header("prefer", prefer);
        let (server, request) = (server.clone(), request.body(Body::from(order("o-1"))).unwrap());
        async move { send(&server, request).await }
    };
    let waiters = tokio::spawn(join_all((0..50).map(|_| waiting("wait=20"))));
    // Who does not wait for long is told.
    assert_eq!(waiting("wait=0").await.problem(), "in-progress");
    assert_eq!(waiting("wait=1").await.problem(), "in-progress");
    shop.open();
    let first = first.await.unwrap();
    for got in waiters.await.unwrap() {
        assert!(got.is_replayed() && got.stored() == first.stored(), "{got:?}");
    }
    assert_eq!(shop.runs(), 1);
}

async fn who_says_nothing_waits_as_long_as_the_service_says<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default().wait(Duration::from_secs(20)));
    let first = tokio::spawn({
        let server = server.clone();
        async move { post_order(&server, "k", &order("o-1")).await }
    });
    shop.arrived().await;
    let waiter = tokio::spawn({
        let server = server.clone();
        async move { post_order(&server, "k", &order("o-1")).await }
    });
    // Who does say is heard.
    let unwilling = request("POST", "/orders", "k").header("prefer", "wait=0");
    let told = send(&server, unwilling.body(order("o-1").into()).unwrap()).await;
    assert_eq!(told.problem(), "in-progress");
    assert!(!waiter.is_finished());
    // Never longer than anybody may.
    let settings = Settings::default().wait(Duration::from_secs(20)).longest_wait(Duration::ZERO);
    let hasty = router(&shop, &stage.store, settings);
    assert_eq!(post_order(&hasty, "k", &order("o-1")).await.problem(), "in-progress");
    shop.open();
    let (first, waiter) = (first.await.unwrap(), waiter.await.unwrap());
    assert!(waiter.is_replayed() && waiter.stored() == first.stored(), "{waiter:?}");
    assert_eq!(shop.runs(), 1);
}

async fn more_duplicates_than_there_are_places_are_told_at_once<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let settings = Settings::default().waiters(0).longest_wait(Duration::MAX);
    let server = router(&shop, &stage.store, settings);
    let first = tokio::spawn({
        let server = server.clone();
        async move { post_order(&server, "k", &order("o-1")).await }
    });
    shop.arrived().await;
    let waiter = request("POST", "/orders", "k").header("prefer", "wait=1000");
    let told = send(&server, waiter.body(order("o-1").into()).unwrap());
    let told = tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is told at once");
    assert_eq!(told.problem(), "in-progress");
    shop.open();
    first.await.unwrap();
}

/// No wait is too long to be reckoned with.
async fn who_would_wait_for_ever_may<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default().longest_wait(Duration::MAX));
    let first = tokio::spawn({
        let server = server.clone();
        async move { post_order(&server, "k", &order("o-1")).await }
    });
    shop.arrived().await;
    let waiter = request("POST", "/orders", "k").header("prefer", format!("wait={}", u64::MAX));
    let waiter = waiter.body(Body::from(order("o-1"))).unwrap();
    let waiter = tokio::spawn(async move { send(&server, waiter).await });
    shop.open();
    assert_eq!(waiter.await.unwrap().stored(), first.await.unwrap().stored());
}

async fn a_request_waits_for_its_own_run_only_so_long<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default().patience(Duration::from_millis(20)));
    let out_of_patience = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((out_of_patience.status, &*out_of_patience.problem()), (503, "unavailable"));
    assert!(out_of_patience.header("retry-after").is_some());
    // The run goes on, and nobody else is needed for it.
    shop.arrived().await;
    shop.open();
    let patient = router(&shop, &stage.store, Settings::default());
    let waiter = request("POST", "/orders", "k").header("prefer", "wait=20");
    let got = send(&patient, waiter.body(order("o-1").into()).unwrap()).await;
    assert_eq!((got.status, shop.runs()), (201, 1));
}

async fn who_rather_hears_of_it_elsewhere_is_told_where<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default().status_at("/orders/status"));
    let asynchronously = || {
        let request = request("POST", "/orders", "k").header("prefer", "respond-async");
        request.body(Body::from(order("o-1"))).unwrap()
    };
    let standing = async || {
        let got = send(&server, request("GET", "/orders/status", "k").body(Body::empty()).unwrap()).await;
        (got.status, serde_json::from_slice::<Value>(&got.body).unwrap())
    };
    assert_eq!(standing().await.0, 404);
    let accepted = send(&server, asynchronously()).await;
    assert_eq!((accepted.status, accepted.header("location")), (202, Some("/orders/status")));
    assert_eq!(accepted.header("idempotency-key"), Some("k"));
    shop.arrived().await;
    assert_eq!(send(&server, asynchronously()).await.status, 202, "it is on its way already");
    let running = json!({
        "status": "running", "recovery_point": "started", "steps_done": 0, "steps_total": 2, "attempts": 1, "fence": 1
    });
    assert_eq!(standing().await, (200, running));
    shop.open();
    let waiter = request("POST", "/orders", "k").header("prefer", "wait=20");
    let done: Got = send(&server, waiter.body(order("o-1").into()).unwrap()).await;
    assert_eq!(done.status, 201);
    let (_, finished) = standing().await;
    assert_eq!((&finished["status"], &finished["steps_done"]), (&"finished".into(), &2.into()));
    let replayed = send(&server, asynchronously()).await;
    assert!(replayed.is_replayed() && replayed.stored() == done.stored(), "{replayed:?}");
}

everywhere!(
    a_duplicate_is_told_that_the_first_is_in_progress,
    many_duplicates_wait_for_the_first_and_get_its_bytes,
    who_says_nothing_waits_as_long_as_the_service_says,
    more_duplicates_than_there_are_places_are_told_at_once,
    who_would_wait_for_ever_may,
    a_request_waits_for_its_own_run_only_so_long,
    who_rather_hears_of_it_elsewhere_is_told_where,
);
