//! Transactions: what an atomic step writes, its jobs and its point, together or not at all.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::time::Duration;

use workflow::seam::{Advance, Beat, Lease, NewKey, Status};
use workflow::{StagedJob, Store, StoreError};

use super::Factory;
use super::fixture::*;

/// More than any time-out that a store may set itself for a lock.
const SOON: Duration = Duration::from_secs(30);

pub async fn notes_jobs_and_point_are_committed_together<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let jobs = [job("receipt"), job("shipment")];
    let tx = written(&factory, &store, &new, lease, &jobs).await;
    store.commit(tx).await.unwrap();
    assert_eq!(factory.notes(&store).await, ["order"]);
    assert_eq!(row(&store, &new).await.recovery_point, CREATED);
    assert_eq!(store.journal(&[new.id]).await.unwrap().len(), 1);
    assert_eq!(sorted(factory.staged(&store).await), jobs);
}

pub async fn a_rollback_leaves_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let before = picture(&store, &key_of(&new)).await;
    let tx = written(&factory, &store, &new, lease, &[job("receipt")]).await;
    store.rollback(tx).await;
    nothing_happened(&factory, &store, &new, &before).await;
}

pub async fn a_transaction_that_is_dropped_leaves_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let before = picture(&store, &key_of(&new)).await;
    drop(written(&factory, &store, &new, lease, &[job("receipt")]).await);
    nothing_happened(&factory, &store, &new, &before).await;
}

pub async fn after_a_rollback_the_same_step_can_be_committed<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let jobs = [job("receipt")];
    for _ in 0..3 {
        let tx = written(&factory, &store, &new, lease, &jobs).await;
        store.rollback(tx).await;
    }
    let tx = written(&factory, &store, &new, lease, &jobs).await;
    store.commit(tx).await.unwrap();
    assert_eq!(factory.notes(&store).await, ["order"]);
    assert_eq!(factory.staged(&store).await, jobs);
}

pub async fn what_is_not_committed_is_seen_by_nobody<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, lease) = planted(&store, "k").await;
    let tx = written(&factory, &store, &new, lease, &[job("receipt")]).await;
    for looking in [&store, &other] {
        assert_eq!(row(looking, &new).await.recovery_point, "started");
        assert!(looking.journal(&[new.id]).await.unwrap().is_empty());
    }
    assert!(factory.notes(&other).await.is_empty());
    assert!(factory.staged(&other).await.is_empty());
    store.commit(tx).await.unwrap();
}

pub async fn what_is_committed_is_seen_by_a_second_handle_at_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, lease) = planted(&store, "k").await;
    // The second handle has looked before: it must not go on with what it saw then.
    assert_eq!(row(&other, &new).await.recovery_point, "started");
    let tx = written(&factory, &store, &new, lease, &[job("receipt")]).await;
    store.commit(tx).await.unwrap();
    assert_eq!(row(&other, &new).await.recovery_point, CREATED);
    assert_eq!(other.journal(&[new.id]).await.unwrap().len(), 1);
    assert_eq!(factory.notes(&other).await, ["order"]);
    assert_eq!(factory.staged(&other).await.len(), 1);
}

pub async fn a_job_keeps_its_message_id_kind_and_payload<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let payload = serde_json::to_vec(&"quotes ' \" and a snowman ☃").unwrap();
    let jobs = vec![StagedJob { payload, ..job("a") }, job(&"k".repeat(100)), job("a")];
    let tx = written(&factory, &store, &new, lease, &jobs).await;
    store.commit(tx).await.unwrap();
    assert_eq!(sorted(factory.staged(&store).await), jobs);
}

pub async fn a_stale_lease_is_refused_inside_the_transaction<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    taken(&store, take_of(&new)).await;
    refused_inside(&factory, &store, &new, stale, |advance| advance).await;
}

pub async fn another_point_is_refused_inside_the_transaction<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    refused_inside(&factory, &store, &new, lease, |advance| Advance { prev: CREATED, ..advance }).await;
}

pub async fn a_finished_key_is_refused_inside_the_transaction<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let response = response(b"done");
    store.advance(lease, finish(&response, row(&store, &new).await.created_at)).await.unwrap();
    for prev in ["started", "finished"] {
        refused_inside(&factory, &store, &new, lease, |advance| Advance { prev, ..advance }).await;
    }
}

pub async fn a_key_is_finished_inside_a_transaction<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let response = response(b"done");
    let at = row(&store, &new).await.created_at;
    let mut tx = store.begin().await.unwrap();
    factory.note(&mut *tx, "order").await.unwrap();
    store.advance_in(&mut tx, lease, &[finish(&response, at)], &[job("receipt")]).await.unwrap();
    assert_eq!(row(&store, &new).await.status, Status::Running, "not before the commit");
    store.commit(tx).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!(row.status, Status::Finished);
    assert!(row.response == Some(response));
    assert_eq!(factory.notes(&store).await, ["order"]);
    assert_eq!(factory.staged(&store).await.len(), 1);
}

pub async fn an_advance_inside_extends_the_lease_and_begins_to_count_anew<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let lease = taken(&store, take_of(&new)).await.lease;
    factory.clock(&store).advance(LEASE - SLACK);
    let mut tx = store.begin().await.unwrap();
    let at = row(&store, &new).await.created_at;
    let next = store.advance_in(&mut tx, lease, &[first(b"", at)], &[]).await.unwrap();
    store.commit(tx).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!((row.attempts, row.step_attempts, row.first_attempt_at), (1, 1, Some(next)));
    factory.clock(&store).advance(LEASE - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
}

pub async fn a_transaction_that_writes_nothing_commits<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let tx = store.begin().await.unwrap();
    store.commit(tx).await.unwrap();
    let (new, lease) = planted(&store, "k").await;
    let tx = written(&factory, &store, &new, lease, &[]).await;
    store.commit(tx).await.unwrap();
}

pub async fn a_transaction_and_a_claim_of_another_key_lose_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, lease) = planted(&store, "k").await;
    let (free, _) = planted(&store, "free").await;
    store.release(Lease { id: free.id, fence: 1 }, None).await.unwrap();
    let tx = written(&factory, &store, &new, lease, &[job("receipt")]).await;
    let taking = free.clone();
    let mut taking = tokio::spawn(async move { other.take(take_of(&taking)).await });
    // It may have to wait for the commit, or not; either way it is given the time to happen before.
    let early = tokio::time::timeout(Duration::from_millis(200), &mut taking).await;
    store.commit(tx).await.unwrap();
    let took = if let Ok(took) = early { took } else { taking.await };
    assert!(took.unwrap().unwrap().is_some());
    assert_eq!(row(&store, &free).await.fence, 2);
    assert_eq!(row(&store, &new).await.recovery_point, CREATED);
}

pub async fn a_take_that_waited_for_an_advance_returns_the_new_points_data<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let mut tx = store.begin().await.unwrap();
    // Its lease is over as soon as it is written: the take finds the row locked, and then free.
    let advance = Advance { lease: Duration::ZERO, ..first(b"reached", at) };
    store.advance_in(&mut tx, lease, &[advance], &[]).await.unwrap();
    factory.clock(&store).advance(LEASE);
    let taking = new.clone();
    let mut taking = tokio::spawn(async move { other.take(take_of(&taking)).await });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut taking).await;
    store.commit(tx).await.unwrap();
    let took = if let Ok(took) = early { took } else { taking.await };
    // Whichever came first, the data is that of the point.
    let taken = took.unwrap().unwrap().expect("the lease is over");
    match taken.recovery_point.as_str() {
        CREATED => {
            assert!(taken.seq == 1 && taken.data.as_deref() == Some(b"reached"), "old data at a new point")
        }
        _ => assert!(taken.seq == 0 && taken.data.is_none(), "new data at an old point"),
    }
}

pub async fn a_heartbeat_neither_waits_for_a_locked_row_nor_calls_it_lost<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let heart = store.heart();
    let tx = written(&factory, &store, &new, lease, &[]).await;
    // The transaction ends after it: a heartbeat that waits for the row waits for ever.
    let beats = tokio::time::timeout(SOON, heart.heartbeat(&[lease], LEASE)).await;
    match beats.expect("the heartbeat waits for a transaction") {
        Ok(beats) => assert!(beats == [Beat::Missed] || beats == [Beat::Renewed], "{beats:?}"),
        Err(error) => assert!(error.is_transient(), "{error}"),
    }
    store.commit(tx).await.unwrap();
    assert_eq!(heart.heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Renewed]);
}

/// A transaction in which a step has written a note, its jobs and its point.
async fn written<F: Factory>(
    factory: &F,
    store: &F::Store,
    new: &NewKey,
    lease: Lease,
    jobs: &[StagedJob],
) -> <F::Store as Store>::Tx {
    let at = row(store, new).await.created_at;
    let mut tx = store.begin().await.expect("begin");
    factory.note(&mut *tx, "order").await.expect("note");
    store.advance_in(&mut tx, lease, &[first(b"data", at)], jobs).await.expect("advance_in");
    tx
}

async fn nothing_happened<F: Factory>(factory: &F, store: &F::Store, new: &NewKey, before: &str) {
    assert_eq!(picture(store, &key_of(new)).await, before);
    assert!(factory.notes(store).await.is_empty());
    assert!(factory.staged(store).await.is_empty());
}

async fn refused_inside<F: Factory>(
    factory: &F,
    store: &F::Store,
    new: &NewKey,
    lease: Lease,
    change: impl FnOnce(Advance<'_>) -> Advance<'_>,
) {
    let before = picture(store, &key_of(new)).await;
    let at = row(store, new).await.created_at;
    let mut tx = store.begin().await.unwrap();
    factory.note(&mut *tx, "late").await.unwrap();
    let late = change(Advance { seq: 9, ..first(b"late", at) });
    let late = store.advance_in(&mut tx, lease, &[late], &[job("late")]).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)));
    store.rollback(tx).await;
    nothing_happened(factory, store, new, &before).await;
}

/// By message id: those of a test are drawn in order.
fn sorted(mut jobs: Vec<StagedJob>) -> Vec<StagedJob> {
    jobs.sort_by_key(|job| job.message_id);
    jobs
}
