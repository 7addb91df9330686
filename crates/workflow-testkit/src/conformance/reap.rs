//! Forgetting: what goes, what stays, and what stays of a key that has gone.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use workflow::seam::{Advance, Lease, NewKey, Status, Then, To};
use workflow::{Key, Store};

use super::Factory;
use super::fixture::*;

const REFUSED: &str = "capture_payment.refused";
const UNDONE: &str = "create_order.undone";
const MILLISECOND: Duration = Duration::from_millis(1);

/// Finishes a key from `started`.
async fn end(store: &impl Store, lease: Lease) {
    let at = store.settle(lease).await.unwrap().unwrap().first_attempt_at.unwrap();
    store.advance(lease, finish(&response(b"done"), at)).await.unwrap();
}

/// A key that is finished.
async fn ended(store: &impl Store, value: &str) -> (NewKey, Lease) {
    let (new, lease) = planted(store, value).await;
    end(store, lease).await;
    (new, lease)
}

async fn is_known(store: &impl Store, new: &NewKey) -> bool {
    store.find(&key_of(new)).await.unwrap().is_some()
}

/// A key that was turned round and whose foreign step is undone, which is committed or rolled back.
async fn undone(store: &impl Store, new: &NewKey, commits: bool) {
    let lease = inserted(store, new).await;
    let at = store.advance(lease, first(b"", row(store, new).await.created_at)).await.unwrap();
    let round = Advance { to: To::Point { name: REFUSED, data: b"" }, ..second(b"", at) };
    store.turn(lease, &[round], Some(&response(b"no"))).await.unwrap();
    let to = To::Point { name: UNDONE, data: b"" };
    let undone = Advance { prev: REFUSED, step: "create_order.undo", seq: 3, to, ..first(b"", at) };
    let answer = response(b"no");
    let finished = Advance { prev: UNDONE, step: "capture_payment", seq: 4, ..finish(&answer, at) };
    let mut tx = store.begin().await.unwrap();
    let key = key_of(new);
    store.undo_in(&mut tx, lease, &[undone, finished], &[], Some(&key)).await.unwrap();
    match commits {
        true => store.commit(tx).await.unwrap(),
        false => store.rollback(tx).await,
    }
}

pub async fn only_what_is_finished_and_over_is_reaped<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (over, _) = ended(&store, "over").await;
    let (runs, _) = planted(&store, "runs").await;
    let (free, lease) = planted(&store, "free").await;
    store.release(lease, Some("away")).await.unwrap();
    let (waits, lease) = planted(&store, "waits").await;
    store.fail(lease, failure(1), Then::Later(MINUTE)).await.unwrap();
    let (parked, lease) = planted(&store, "parked").await;
    store.fail(lease, failure(1), Then::Park).await.unwrap();
    let (turned, lease) = planted(&store, "turned").await;
    let to = To::Point { name: "create_order.refused", data: b"" };
    let round = Advance { to, ..first(b"", row(&store, &turned).await.created_at) };
    store.turn(lease, &[round], Some(&response(b"no"))).await.unwrap();
    factory.clock(&store).advance(RETENTION);
    let (fresh, _) = ended(&store, "fresh").await;
    factory.clock(&store).advance(RETENTION - SLACK);

    let stay = [runs, free, waits, parked, turned, fresh];
    let mut before = Vec::new();
    for new in &stay {
        before.push(picture(&store, &key_of(new)).await);
    }
    assert_eq!(store.reap(100).await.unwrap(), 1);
    assert!(!is_known(&store, &over).await);
    for (new, before) in stay.iter().zip(before) {
        assert_eq!(picture(&store, &key_of(new)).await, before);
    }
    assert_eq!(store.reap(100).await.unwrap(), 0);
}

pub async fn a_key_goes_at_the_moment_when_its_retention_is_over<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = ended(&store, "k").await;
    assert_eq!(store.reap(1).await.unwrap(), 0);
    factory.clock(&store).advance(RETENTION - SLACK);
    assert_eq!(store.reap(1).await.unwrap(), 0, "it is replayed for the whole of its retention");
    factory.clock(&store).advance(SLACK);
    assert!(row(&store, &new).await.response.is_some(), "only the reaper forgets");
    assert_eq!(store.reap(1).await.unwrap(), 1);
    assert!(!is_known(&store, &new).await);
}

pub async fn all_rows_of_a_key_go_with_it_and_no_others<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let mut keys = Vec::new();
    for value in ["goes", "stays"] {
        let (new, lease) = planted(&store, value).await;
        again(&store, lease, 1).await.unwrap();
        let job = job(value);
        let mut tx = store.begin().await.unwrap();
        let at = row(&store, &new).await.created_at;
        let at = store
            .advance_in(&mut tx, lease, &[first(b"data", at)], std::slice::from_ref(&job))
            .await
            .unwrap();
        store.commit(tx).await.unwrap();
        factory.deliver(&store, job.message_id).await;
        let response = response(b"done");
        store.advance(lease, Advance { prev: CREATED, seq: 2, ..finish(&response, at) }).await.unwrap();
        keys.push(new);
        factory.clock(&store).advance(RETENTION);
    }
    let (goes, stays) = (&keys[0], &keys[1]);
    let before = picture(&store, &key_of(stays)).await;
    assert_eq!(store.reap(1).await.unwrap(), 1);
    assert!(!is_known(&store, goes).await);
    assert!(store.journal(&[goes.id]).await.unwrap().is_empty());
    assert!(store.points(goes.id).await.unwrap().is_empty());
    assert!(store.failures(&[goes.id]).await.unwrap().is_empty());
    let staged = factory.staged(&store).await;
    assert_eq!(staged.iter().map(|job| &*job.kind).collect::<Vec<_>>(), ["stays"]);
    assert_eq!(picture(&store, &key_of(stays)).await, before);
    assert_eq!(store.points(stays.id).await.unwrap().len(), 1);
}

pub async fn a_key_with_a_job_that_is_not_delivered_stays<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let jobs = [job("receipt"), job("parcel")];
    let mut tx = store.begin().await.unwrap();
    let (answer, at) = (response(b"done"), row(&store, &new).await.created_at);
    store.advance_in(&mut tx, lease, &[finish(&answer, at)], &jobs).await.unwrap();
    store.commit(tx).await.unwrap();
    let (other, _) = ended(&store, "without").await;
    factory.clock(&store).advance(RETENTION * 100);
    let before = picture(&store, &key_of(&new)).await;
    assert_eq!(store.reap(1).await.unwrap(), 1, "it holds up no other");
    assert!(!is_known(&store, &other).await);
    for job in &jobs {
        assert_eq!(store.reap(100).await.unwrap(), 0);
        assert_eq!(factory.staged(&store).await.len(), 2);
        assert_eq!(picture(&store, &key_of(&new)).await, before);
        factory.deliver(&store, job.message_id).await;
    }
    assert_eq!(store.reap(100).await.unwrap(), 1);
    assert!(!is_known(&store, &new).await && factory.staged(&store).await.is_empty());
}

pub async fn no_more_than_the_limit_goes_the_longest_expired_first<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let mut keys = Vec::new();
    // The one that was made last ends first.
    for n in 0..7 {
        keys.push(planted(&store, &format!("k{n}")).await);
    }
    for (_, lease) in keys.iter().rev() {
        end(&store, *lease).await;
        factory.clock(&store).advance(MILLISECOND);
    }
    factory.clock(&store).advance(RETENTION);
    assert_eq!(store.reap(0).await.unwrap(), 0);
    for (limit, reaped, left) in [(3, 3, 4), (1, 1, 3), (2, 2, 1), (2, 1, 0), (u32::MAX, 0, 0)] {
        assert_eq!(store.reap(limit).await.unwrap(), reaped);
        for (n, (new, _)) in keys.iter().enumerate() {
            assert_eq!(is_known(&store, new).await, n < left, "{n} of {left}");
        }
    }
}

pub async fn a_tombstone_refuses_its_generation_and_those_before_it<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let key = key_of(&new_key("tenant", "k"));
    for generation in 0..3 {
        assert_eq!(store.generation(&key).await.unwrap(), generation);
        let new = NewKey { generation, ..new_key("tenant", "k") };
        undone(&store, &new, true).await;
        factory.clock(&store).advance(RETENTION);
        assert_eq!(store.reap(10).await.unwrap(), 1);
        for generation in 0..=generation {
            let old = NewKey { generation, ..new_key("tenant", "k") };
            assert!(store.insert(&old).await.unwrap().is_none(), "{generation}");
            assert!(!is_known(&store, &old).await);
        }
    }
    let next = NewKey { generation: 3, ..new_key("tenant", "k") };
    let lease = inserted(&store, &next).await;
    end(&store, lease).await;
    factory.clock(&store).advance(RETENTION);
    assert_eq!(store.reap(10).await.unwrap(), 1);
    assert_eq!(store.generation(&key).await.unwrap(), 3, "a life without an undo may be lived again");
    inserted(&store, &NewKey { generation: 3, ..new_key("tenant", "k") }).await;
}

pub async fn a_tombstone_is_of_one_key_in_one_scope<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    undone(&store, &new_key("tenant", "k"), true).await;
    for (scope, value) in [("tenant", "K"), ("tenant", "k "), ("tenan", "tk"), ("tenantk", "k")] {
        let key = Key::new(scope, value).unwrap();
        assert_eq!(store.generation(&key).await.unwrap(), 0, "{scope} {value}");
        inserted(&store, &new_key(scope, value)).await;
    }
}

pub async fn an_undo_that_is_rolled_back_leaves_no_tombstone<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let new = new_key("tenant", "k");
    undone(&store, &new, false).await;
    assert_eq!(row(&store, &new).await.status, Status::Undoing);
    assert_eq!(store.generation(&key_of(&new)).await.unwrap(), 0);
}

/// Whether they come in one batch or one by one.
pub async fn of_many_inserts_those_that_are_buried_are_refused_alone<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    for n in (0..40).step_by(2) {
        undone(&store, &new_key("tenant", &format!("k{n}")), true).await;
    }
    factory.clock(&store).advance(RETENTION);
    assert_eq!(store.reap(100).await.unwrap(), 20);
    let inserts = (0..40).map(|n| {
        let store = store.clone();
        async move { (n, store.insert(&new_key("tenant", &format!("k{n}"))).await.unwrap().is_some()) }
    });
    for (n, inserted) in inserts.collect::<JoinSet<_>>().join_all().await {
        assert_eq!(inserted, n % 2 == 1, "{n}");
    }
}

pub async fn many_reapers_at_once_reap_each_key_once<F: Factory>(factory: F) {
    const KEYS: u32 = 60;
    let store = factory.fresh().await;
    for n in 0..KEYS {
        ended(&store, &format!("k{n}")).await;
    }
    let (stays, _) = planted(&store, "stays").await;
    factory.clock(&store).advance(RETENTION);
    let barrier = Arc::new(Barrier::new(4));
    let mut reapers = JoinSet::new();
    for _ in 0..4 {
        let (handle, barrier) = (factory.reopen(&store).await, barrier.clone());
        reapers.spawn(async move {
            barrier.wait().await;
            let mut reaped = 0;
            // One that meets only what others have in hand reaps nothing, and comes again.
            for _ in 0..KEYS {
                reaped += handle.reap(3).await.unwrap();
            }
            reaped
        });
    }
    assert_eq!(reapers.join_all().await.iter().sum::<u32>(), KEYS);
    assert!(is_known(&store, &stays).await);
}

/// A transaction of a step, however long it takes, is not waited for.
pub async fn a_reaper_passes_over_what_is_under_way<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (over, _) = ended(&store, "over").await;
    factory.clock(&store).advance(RETENTION);
    let (runs, lease) = planted(&store, "runs").await;
    let mut tx = store.begin().await.unwrap();
    let (answer, at) = (response(b"done"), row(&store, &runs).await.created_at);
    store.advance_in(&mut tx, lease, &[finish(&answer, at)], &[]).await.unwrap();
    let reaper = tokio::spawn({
        let store = store.clone();
        async move { store.reap(10).await.unwrap() }
    });
    store.commit(tx).await.unwrap();
    assert_eq!(reaper.await.unwrap(), 1);
    assert!(!is_known(&store, &over).await && is_known(&store, &runs).await);
}
