//! What a client sees of the reaper.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use workflow::Runner;
use workflow_axum::Settings;

use super::shop::{LEASE, Shop, order, orders, post_order, router};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

/// Longer than any key is kept.
const LATER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

async fn reaped<S: Noted>(shop: &Arc<Shop>, store: &S) -> usize {
    let runner = Runner::builder(store.clone(), shop.clone()).with(orders::<S::Conn>).build().unwrap();
    runner.reap(100).await.unwrap()
}

async fn an_expired_key_is_replayed_until_the_reaper_has_come<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let first = post_order(&server, "k", &order("o-1")).await;
    assert_eq!(reaped(&shop, &stage.store).await, 0);
    stage.clock.advance(LATER);
    for server in [server, router(&shop, &S::again(&stage).await, Settings::default())] {
        let again = post_order(&server, "k", &order("o-1")).await;
        assert!(again.is_replayed() && again.stored() == first.stored());
        assert_eq!(post_order(&server, "k", &order("o-2")).await.problem(), "key-reused");
    }
    assert_eq!((shop.runs(), reaped(&shop, &stage.store).await), (1, 1));
}

async fn a_reaped_key_is_a_new_request<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    assert_eq!(post_order(&server, "k", &order("o-1")).await.status, 201);
    stage.clock.advance(LATER);
    assert_eq!(reaped(&shop, &stage.store).await, 1);
    let anew = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((anew.status, anew.is_replayed(), shop.runs()), (201, false, 2));
    assert!(post_order(&server, "k", &order("o-1")).await.is_replayed());

    stage.clock.advance(LATER);
    assert_eq!(reaped(&shop, &stage.store).await, 1);
    let other = post_order(&server, "k", &order("o-2")).await;
    assert_eq!((other.status, other.is_replayed(), shop.runs()), (201, false, 3));
    assert_eq!(post_order(&server, "k", &order("o-1")).await.problem(), "key-reused");
    assert_eq!(stage.store.notes().await, ["o-1", "o-1", "o-2"]);
}

async fn an_unfinished_key_goes_on_after_every_reaper<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.fails.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default());
    assert_eq!(post_order(&server, "k", &order("o-1")).await.problem(), "unavailable");
    stage.clock.advance(LATER + LEASE);
    assert_eq!(reaped(&shop, &stage.store).await, 0);
    assert_eq!(post_order(&server, "k", &order("o-2")).await.problem(), "key-reused", "it is not forgotten");
    let got = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((got.status, got.is_replayed()), (201, false));
    assert_eq!(got.body, r#"{"amount":5,"fence":2,"order_id":"o-1"}"#);
    assert_eq!(reaped(&shop, &stage.store).await, 0, "its retention begins when it is finished");
}

everywhere!(
    an_expired_key_is_replayed_until_the_reaper_has_come,
    a_reaped_key_is_a_new_request,
    an_unfinished_key_goes_on_after_every_reaper,
);
