//! Several at once: of all who want a key, one gets it, and who was overtaken changes nothing.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use workflow::seam::{Beat, Lease};
use workflow::{Answered, Error, Key, Store, StoreError};

use super::Factory;
use super::fixture::*;
use super::shop::{Act, Shop, any_cart, checkout, receipt};
use crate::{Fault, Faulty, How};

const CROWD: usize = 50;
const ROUNDS: usize = 10;

pub async fn of_fifty_calls_at_one_key_one_runs<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    of_a_crowd_one_runs(&factory, &store, std::slice::from_ref(&store)).await;
}

pub async fn of_fifty_calls_from_two_processes_one_runs<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    of_a_crowd_one_runs(&factory, &store, &[store.clone(), other]).await;
}

async fn of_a_crowd_one_runs<F: Factory>(factory: &F, store: &F::Store, handles: &[F::Store]) {
    let (shop, key) = (Shop::open(factory), key("k"));
    let runners: Vec<_> = handles.iter().map(|handle| shop.runner(handle)).collect();
    let calls = (0..CROWD).map(|i| runners[i % runners.len()].run(checkout::<F>, key.clone(), any_cart()));
    let mut runs = 0;
    for call in at_once(calls).await {
        match call {
            Ok(answered) => {
                assert!(*answered.response() == receipt());
                runs += usize::from(!answered.replayed());
            }
            Err(error) => assert!(matches!(error, Error::InProgress { .. }), "{error:?}"),
        }
    }
    assert_eq!((runs, shop.ran().len()), (1, 3));
    assert_eq!(factory.notes(store).await.len(), 2);
    assert_eq!(factory.staged(store).await.len(), 1);
    let row = found(store, &key).await;
    assert_eq!((row.fence, &*row.recovery_point), (1, "finished"), "nobody else has claimed it");
}

pub async fn many_keys_at_once_all_finish<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let shop = Shop::open(&factory);
    let runners = [shop.runner(&store), shop.runner(&other)];
    let calls = (0..32).map(|i| runners[i % 2].run(checkout::<F>, key(&format!("k{i}")), any_cart()));
    for call in at_once(calls).await {
        assert!(!call.unwrap().replayed());
    }
    assert_eq!(factory.notes(&store).await.len(), 64);
    assert_eq!(factory.staged(&store).await.len(), 32);
    let mut effect_keys = shop.effect_keys();
    effect_keys.sort();
    effect_keys.dedup();
    assert_eq!(effect_keys.len(), 32);
}

pub async fn a_call_during_a_run_is_in_progress_and_touches_nothing<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let shop = Shop::acting(&factory, [("capture_payment", Act::Wait)]);
    let running = tokio::spawn(shop.runner(&store).run(checkout::<F>, key.clone(), any_cart()));
    shop.waits().await;
    let before = picture(&store, &key).await;
    let other = Shop::open(&factory);
    let handle = factory.reopen(&store).await;
    match other.checkout(&handle, &key).await {
        Err(Error::InProgress { retry_after, .. }) => {
            assert!(retry_after <= LEASE && retry_after > LEASE - SLACK)
        }
        answer => panic!("not in progress: {answer:?}"),
    }
    assert_eq!(picture(&store, &key).await, before);
    assert!(other.ran().is_empty());
    shop.let_go();
    assert!(!running.await.unwrap().unwrap().replayed());
}

pub async fn of_many_inserts_of_one_key_one_is_made<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    for round in 0..ROUNDS {
        let inserts = (0..8).map(|i| {
            let handle = if i % 2 == 0 { store.clone() } else { other.clone() };
            let new = new_key("tenant", &format!("k{round}"));
            async move { (handle.insert(&new).await.unwrap().is_some(), new) }
        });
        let made: Vec<_> = at_once(inserts).await.into_iter().filter(|(made, _)| *made).collect();
        assert_eq!(made.len(), 1);
        assert_eq!(row(&store, &made[0].1).await.id, made[0].1.id);
    }
}

pub async fn of_many_takes_of_one_key_one_gets_it<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, _) = planted(&store, "k").await;
    for round in 0..ROUNDS {
        factory.clock(&store).advance(LEASE);
        let takes = (0..8).map(|i| {
            let handle = if i % 2 == 0 { store.clone() } else { other.clone() };
            let new = new.clone();
            async move { handle.take(take_of(&new)).await.unwrap() }
        });
        let got: Vec<_> = at_once(takes).await.into_iter().flatten().collect();
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].lease.fence, round as i64 + 2);
    }
}

pub async fn of_many_advances_from_one_point_one_happens<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    for round in 0..ROUNDS {
        let (new, lease) = planted(&store, &format!("k{round}")).await;
        let at = row(&store, &new).await.created_at;
        let advances = (0..8).map(|i| {
            let handle = if i % 2 == 0 { store.clone() } else { other.clone() };
            async move { handle.advance(lease, first(b"data", at)).await }
        });
        let (done, refused): (Vec<_>, Vec<_>) = at_once(advances).await.into_iter().partition(Result::is_ok);
        assert_eq!((done.len(), refused.len()), (1, 7));
        assert!(refused.iter().all(|error| matches!(error, Err(StoreError::LeaseLost))));
        assert_eq!(store.journal(&[new.id]).await.unwrap().len(), 1);
    }
}

pub async fn of_a_take_and_an_advance_one_wins<F: Factory>(factory: F) {
    take_against(factory, |_, store, lease, at| async move {
        match store.advance(lease, first(b"data", at)).await {
            Ok(_) => true,
            Err(StoreError::LeaseLost) => false,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

pub async fn of_a_take_and_a_transaction_one_wins<F: Factory>(factory: F) {
    take_against(factory, |factory: F, store: F::Store, lease, at| async move {
        let mut tx = store.begin().await.unwrap();
        factory.note(&mut *tx, "order").await.unwrap();
        match store.advance_in(&mut tx, lease, &[first(b"data", at)], &[job("receipt")]).await {
            Ok(_) => {
                store.commit(tx).await.unwrap();
                true
            }
            Err(StoreError::LeaseLost) => {
                store.rollback(tx).await;
                false
            }
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

/// The lease has run out: its holder goes on at the very moment in which another takes the key.
async fn take_against<F: Factory, Fut>(
    factory: F,
    go_on: impl Fn(F, F::Store, Lease, chrono::DateTime<chrono::Utc>) -> Fut,
) where
    Fut: Future<Output = bool> + Send + 'static,
{
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    for round in 0..ROUNDS {
        let (new, lease) = planted(&store, &format!("k{round}")).await;
        let at = row(&store, &new).await.created_at;
        factory.clock(&store).advance(LEASE);
        let barrier = Arc::new(Barrier::new(2));
        let holder = go_on(factory.clone(), store.clone(), lease, at);
        let entry = barrier.clone();
        let holder = tokio::spawn(async move {
            entry.wait().await;
            holder.await
        });
        barrier.wait().await;
        let took = other.take(take_of(&new)).await.unwrap();
        let advanced = holder.await.unwrap();
        assert!(took.is_some() != advanced, "round {round}: took {}, advanced {advanced}", took.is_some());
        let standing = row(&store, &new).await;
        assert_eq!(standing.recovery_point == CREATED, advanced);
        assert_eq!(standing.fence, if advanced { 1 } else { 2 });
    }
    let jobs = factory.staged(&store).await.len();
    assert_eq!(factory.notes(&store).await.len(), jobs, "what was refused left neither note nor job");
}

pub async fn of_a_take_and_a_heartbeat_one_wins<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    for round in 0..ROUNDS {
        let (new, lease) = planted(&store, &format!("k{round}")).await;
        factory.clock(&store).advance(LEASE);
        let barrier = Arc::new(Barrier::new(2));
        let (heart, entry) = (store.heart(), barrier.clone());
        let beat = tokio::spawn(async move {
            entry.wait().await;
            heart.heartbeat(&[lease], LEASE).await
        });
        barrier.wait().await;
        let took = other.take(take_of(&new)).await.unwrap();
        let renewed = matches!(beat.await.unwrap().as_deref(), Ok([Beat::Renewed]));
        assert!(took.is_some() != renewed, "round {round}: took {}, renewed {renewed}", took.is_some());
    }
}

pub async fn who_wakes_in_a_foreign_step_after_the_end_commits_nothing<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let other = factory.reopen(&store).await;
    let frozen = Shop::acting(&factory, [("capture_payment", Act::Wait)]);
    let zombie = tokio::spawn(frozen.runner(&store).run(checkout::<F>, key.clone(), any_cart()));
    frozen.waits().await;
    factory.clock(&store).advance(LEASE);
    let shop = Shop::open(&factory);
    let answered = shop.checkout(&other, &key).await.unwrap();
    assert_eq!(answered.ran(), ["capture_payment", "stage_receipt"]);
    let before = picture(&store, &key).await;
    frozen.let_go();
    lost(zombie.await.unwrap());
    // The atomic step after it shares its commit: it runs, and is rolled back with it.
    assert_eq!(frozen.ran(), ["create_order", "capture_payment", "stage_receipt"]);
    assert_eq!(frozen.effect_keys(), shop.effect_keys(), "the gateway sees one key");
    assert_eq!(picture(&store, &key).await, before);
    once(&factory, &store).await;
}

pub async fn who_wakes_before_an_atomic_step_after_the_end_writes_nothing<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let other = factory.reopen(&store).await;
    let frozen = Shop::open(&factory);
    let faulty = frozen_at_begin(&store, 2);
    let zombie = tokio::spawn(frozen.runner(&faulty).run(checkout::<F>, key.clone(), any_cart()));
    faulty.held().await;
    factory.clock(&store).advance(LEASE);
    let answered = Shop::open(&factory).checkout(&other, &key).await.unwrap();
    assert_eq!(answered.ran().len(), 3);
    let before = picture(&store, &key).await;
    faulty.let_go();
    lost(zombie.await.unwrap());
    assert_eq!(frozen.ran(), ["create_order"]);
    assert_eq!(picture(&store, &key).await, before);
    once(&factory, &store).await;
}

pub async fn who_wakes_at_the_same_point_is_stopped_by_the_fence_alone<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let frozen = Shop::open(&factory);
    let faulty = frozen_at_begin(&store, 2);
    let zombie = tokio::spawn(frozen.runner(&faulty).run(checkout::<F>, key.clone(), any_cart()));
    faulty.held().await;
    factory.clock(&store).advance(LEASE);
    // The other has the key, and is still at the zombie's point.
    let slow = Shop::open(&factory);
    let second = frozen_at_begin(&store, 4);
    let successor = tokio::spawn(slow.runner(&second).run(checkout::<F>, key.clone(), any_cart()));
    second.held().await;
    let before = picture(&store, &key).await;
    faulty.let_go();
    lost(zombie.await.unwrap());
    assert_eq!(picture(&store, &key).await, before);
    assert!(factory.notes(&store).await.is_empty(), "what it wrote is rolled back");
    second.let_go();
    assert_eq!(successor.await.unwrap().unwrap().ran().len(), 3);
    once(&factory, &store).await;
}

/// Frozen where the first step's transaction begins, with nothing locked yet: a store with one writer would keep
/// everybody else out. That is the call after the claim, which is one call if the key is new, and three if it is not.
fn frozen_at_begin<S: Store>(store: &S, at: usize) -> Faulty<S> {
    Faulty::new(store.clone(), [Fault { at, how: How::Hold }])
}

fn lost(answer: Result<Answered, Error>) {
    match answer {
        Err(Error::LeaseLost { .. }) => {}
        answer => panic!("the lease was lost, but: {answer:?}"),
    }
}

/// Everything that the checkout does is there, and once.
async fn once<F: Factory>(factory: &F, store: &F::Store) {
    let mut notes = factory.notes(store).await;
    notes.sort();
    assert_eq!(notes, ["order", "receipt"]);
    assert_eq!(factory.staged(store).await.len(), 1);
}

/// Lets all of them begin at once.
pub(super) async fn at_once<T, Fut>(calls: impl Iterator<Item = Fut>) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let calls: Vec<_> = calls.collect();
    let barrier = Arc::new(Barrier::new(calls.len()));
    let mut tasks = JoinSet::new();
    for call in calls {
        let barrier = barrier.clone();
        tasks.spawn(async move {
            barrier.wait().await;
            call.await
        });
    }
    tasks.join_all().await
}

fn key(value: &str) -> Key {
    Key::new("tenant", value).expect("a valid key")
}
