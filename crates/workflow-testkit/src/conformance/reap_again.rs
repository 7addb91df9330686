//! The next life of a key: what a call finds after the reaper, or beside it.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;
use workflow::{Answered, Error, Key, Store};

use super::Factory;
use super::fixture::*;
use super::shop::{Act, Shop, any_cart, cart, checkout, receipt, refundable, revocable};

const ALL: [&str; 3] = ["create_order", "capture_payment", "stage_receipt"];

fn key(value: &str) -> Key {
    Key::new("tenant", value).expect("a valid key")
}

/// Everything is delivered, over, and forgotten.
async fn reaped<F: Factory>(factory: &F, store: &F::Store) -> u32 {
    for job in factory.staged(store).await {
        factory.deliver(store, job.message_id).await;
    }
    factory.clock(store).advance(RETENTION * 2);
    store.reap(1000).await.unwrap()
}

pub async fn an_unfinished_key_is_never_reaped_however_old<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let broken = Shop::acting(&factory, [("stage_receipt", Act::Fail)]);
    broken.checkout(&store, &key).await.unwrap_err();
    factory.clock(&store).advance(RETENTION * 100);
    assert_eq!(reaped(&factory, &store).await, 0);
    let shop = Shop::open(&factory);
    let answered = shop.checkout(&store, &key).await.unwrap();
    assert_eq!((answered.skipped().len(), answered.ran()), (2, &["stage_receipt"][..]));
    assert_eq!(factory.notes(&store).await.len(), 2);
}

pub async fn a_reaped_key_is_a_new_request<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    let runner = shop.runner(&store);
    runner.run(checkout::<F>, key.clone(), any_cart()).await.unwrap();
    let other = || cart(&[("sku", json!("coffee"))]);
    let mismatch = runner.run(checkout::<F>, key.clone(), other()).await;
    assert!(matches!(mismatch, Err(Error::Mismatch { .. })));
    assert_eq!(reaped(&factory, &store).await, 1);
    // By the runner that has met the key, too, and asks first whether it is finished.
    let answered = runner.run(checkout::<F>, key.clone(), other()).await.unwrap();
    assert!(!answered.replayed() && *answered.response() == receipt());
    assert_eq!(answered.ran(), ALL);
    let mismatch = runner.run(checkout::<F>, key.clone(), any_cart()).await;
    assert!(matches!(mismatch, Err(Error::Mismatch { .. })), "it is another request's now");
    assert!(runner.run(checkout::<F>, key, other()).await.unwrap().replayed());
    assert_eq!(factory.notes(&store).await.len(), 4);
}

pub async fn a_reaped_key_is_not_known_any_more<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    shop.checkout(&store, &key).await.unwrap();
    assert_eq!(reaped(&factory, &store).await, 1);
    let runner = shop.runner(&store);
    assert!(runner.status(&key).await.unwrap().is_none());
    assert!(matches!(runner.resume(key.clone()).await, Err(Error::UnknownKey { .. })));
    assert_eq!(runner.reap(10).await.unwrap(), 0);
}

pub async fn without_an_undo_the_next_life_has_the_same_effect_keys<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    for _ in 0..3 {
        assert_eq!(shop.checkout(&store, &key).await.unwrap().ran(), ALL);
        assert_eq!(reaped(&factory, &store).await, 1);
    }
    let keys = shop.effect_keys();
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "the gateway knows them again");
}

/// A life of a key whose receipt is refused.
async fn refused<F: Factory>(factory: &F, store: &F::Store, key: &Key) -> (Answered, Vec<Uuid>) {
    let shop = Shop::acting(factory, [("stage_receipt", Act::Refuse)]);
    let answered = shop.runner(store).run(refundable::<F>, key.clone(), any_cart()).await.unwrap();
    assert_eq!((answered.status(), answered.replayed()), (402, false));
    assert_eq!(shop.ran().last(), Some(&"refund_payment"));
    (answered, shop.effect_keys())
}

pub async fn after_an_undone_foreign_step_the_next_life_has_other_effect_keys<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let mut used = Vec::new();
    for _ in 0..3 {
        used.extend(refused(&factory, &store, &key).await.1);
        assert_eq!(reaped(&factory, &store).await, 1);
    }
    let shop = Shop::open(&factory);
    let runner = shop.runner(&store);
    for _ in 0..2 {
        let answered = runner.run(refundable::<F>, key.clone(), any_cart()).await.unwrap();
        assert_eq!((answered.status(), answered.ran()), (201, &ALL[..]));
        assert_eq!(reaped(&factory, &store).await, 1);
    }
    // Another request under this key: what it calls was never called.
    let last = runner.run(checkout::<F>, key.clone(), any_cart()).await.unwrap();
    assert_eq!(last.ran(), ALL);
    let keys = shop.effect_keys();
    assert_eq!(keys[0], keys[1], "a life without an undo is lived again as it was");
    used.extend([keys[0], keys[2]]);
    let distinct: std::collections::HashSet<_> = used.iter().collect();
    assert_eq!((used.len(), distinct.len()), (5, 5), "{used:?}");
}

pub async fn an_undo_of_what_the_key_wrote_itself_changes_no_effect_keys<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let shop = Shop::acting(&factory, [("stage_receipt", Act::Refuse)]);
    for _ in 0..2 {
        let answered = shop.runner(&store).run(revocable::<F>, key.clone(), any_cart()).await.unwrap();
        assert_eq!((answered.status(), answered.replayed()), (402, false));
        assert_eq!(reaped(&factory, &store).await, 1);
    }
    assert_eq!(shop.ran().iter().filter(|ran| **ran == "revoke_order").count(), 2);
    let keys = shop.effect_keys();
    assert_eq!(
        (keys.len(), keys[0]),
        (2, keys[1]),
        "what was charged stays charged, and is not charged again"
    );
}

pub async fn a_replay_of_an_undone_key_is_a_replay_until_it_is_reaped<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let (first, _) = refused(&factory, &store, &key).await;
    let before = picture(&store, &key).await;
    factory.clock(&store).advance(RETENTION * 2);
    // By a runner that meets it for the first time: it tries to insert it, against the tombstone.
    let (shop, other) = (Shop::open(&factory), factory.reopen(&store).await);
    let again = shop.runner(&other).run(refundable::<F>, key.clone(), any_cart()).await.unwrap();
    assert!(again.replayed() && again.response() == first.response() && shop.ran().is_empty());
    let mismatch = shop.checkout(&other, &key).await;
    assert!(matches!(mismatch, Err(Error::Mismatch { .. })));
    assert_eq!(picture(&store, &key).await, before);
}

/// Each key is called while it is reaped. Nothing lies between the stored answer and a run from the start.
pub async fn of_a_reap_and_a_call_the_answer_is_the_old_one_or_all_is_new<F: Factory>(factory: F) {
    const KEYS: usize = 24;
    let (store, shop) = (factory.fresh().await, Shop::open(&factory));
    for n in 0..KEYS {
        shop.checkout(&store, &key(&format!("k{n}"))).await.unwrap();
    }
    for job in factory.staged(&store).await {
        factory.deliver(&store, job.message_id).await;
    }
    factory.clock(&store).advance(RETENTION * 2);
    let (barrier, other) = (Arc::new(Barrier::new(KEYS + 1)), factory.reopen(&store).await);
    let reaper = tokio::spawn({
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            let mut reaped = 0;
            while reaped < KEYS as u32 {
                reaped += other.reap(2).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let runner = shop.runner(&store);
    let mut calls = JoinSet::new();
    for n in 0..KEYS {
        let (barrier, call) = (barrier.clone(), runner.run(checkout::<F>, key(&format!("k{n}")), any_cart()));
        calls.spawn(async move {
            barrier.wait().await;
            call.await.unwrap()
        });
    }
    let mut new = 0;
    for answered in calls.join_all().await {
        assert!(*answered.response() == receipt());
        assert_eq!(answered.ran().len(), if answered.replayed() { 0 } else { 3 });
        new += usize::from(!answered.replayed());
    }
    reaper.await.unwrap();
    assert_eq!(factory.notes(&store).await.len(), 2 * (KEYS + new));
}

/// The same of keys whose money was given back: the claim must see the tombstone, whenever it comes.
pub async fn what_was_undone_is_never_called_again_by_its_old_key_whoever_is_first<F: Factory>(factory: F) {
    const KEYS: usize = 12;
    let store = factory.fresh().await;
    let mut used = Vec::new();
    for n in 0..KEYS {
        used.extend(refused(&factory, &store, &key(&format!("k{n}"))).await.1);
    }
    factory.clock(&store).advance(RETENTION * 2);
    let (barrier, other, shop) =
        (Arc::new(Barrier::new(KEYS + 1)), factory.reopen(&store).await, Shop::open(&factory));
    let reaper = tokio::spawn({
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            other.reap(1000).await.unwrap()
        }
    });
    let mut calls = JoinSet::new();
    for n in 0..KEYS {
        // Each by a runner of its own, which has not met the key and inserts it first.
        let call = shop.runner(&store).run(refundable::<F>, key(&format!("k{n}")), any_cart());
        let barrier = barrier.clone();
        calls.spawn(async move {
            barrier.wait().await;
            call.await.unwrap()
        });
    }
    let answers = calls.join_all().await;
    assert_eq!(reaper.await.unwrap(), KEYS as u32);
    let new = answers.iter().filter(|answered| !answered.replayed()).count();
    assert!(answers.iter().all(|answered| answered.status() == if answered.replayed() { 402 } else { 201 }));
    let keys = shop.effect_keys();
    assert_eq!(keys.len(), new);
    assert!(keys.iter().all(|key| !used.contains(key)), "a refunded charge's key was used again");
}
