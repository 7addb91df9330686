//! Walks: several points in one transaction, all of them or none.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::time::Duration;

use chrono::{DateTime, Utc};
use workflow::seam::{Advance, Beat, Lease, NewKey, PointRow, Status, StoredResponse, To};
use workflow::{STARTED, Store, StoreError};

use super::Factory;
use super::fixture::*;

/// More than any time-out that a store may set itself for a lock.
const SOON: Duration = Duration::from_secs(30);

pub async fn a_walk_writes_its_points_in_order_and_moves_the_key_to_the_last<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let before = row(&store, &new).await;
    let walk = [first(b"one", before.created_at), within(second(b"two", before.created_at))];
    let at = walked(&store, lease, &walk).await;
    let after = row(&store, &new).await;
    assert_eq!((&*after.recovery_point, after.status), (CAPTURED, Status::Running));
    assert_eq!((after.attempts, after.step_attempts, after.first_attempt_at), (1, 1, Some(at)));
    assert_eq!((after.fence, after.last_run_at), (1, before.last_run_at), "a walk is no claim");
    let steps: Vec<_> = journal(&store, &new).await.into_iter().map(named).collect();
    let expected = [(1, CREATED, "create_order"), (2, CAPTURED, "capture_payment")];
    assert_eq!(steps, expected.map(|(seq, name, step)| (seq, name.to_owned(), step.to_owned())));
}

pub async fn a_walk_to_the_response_finishes_the_key<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let (at, response) = (row(&store, &new).await.created_at, response(b"done"));
    walked(&store, lease, &to_the_end(at, &response)).await;
    let row = row(&store, &new).await;
    assert_eq!((row.status, &*row.recovery_point), (Status::Finished, "finished"));
    assert!(row.response == Some(response) && row.lease_left.is_zero());
    assert_eq!((row.step_attempts, row.first_attempt_at), (0, None), "there is no next step");
    let journal = journal(&store, &new).await;
    let names: Vec<_> = journal.iter().map(|point| (point.seq, &*point.name)).collect();
    assert_eq!(names, [(1, CREATED), (2, CAPTURED), (3, "finished")]);
    assert_eq!(row.finished_at, Some(journal[2].reached_at));
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
}

pub async fn a_walk_that_is_not_committed_is_seen_by_nobody<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, lease) = planted(&store, "k").await;
    let (at, response) = (row(&store, &new).await.created_at, response(b"done"));
    let mut tx = store.begin().await.unwrap();
    store.advance_in(&mut tx, lease, &to_the_end(at, &response), &[job("receipt")]).await.unwrap();
    for looking in [&store, &other] {
        assert_eq!(row(looking, &new).await.recovery_point, STARTED);
        assert!(journal(looking, &new).await.is_empty());
    }
    store.commit(tx).await.unwrap();
    assert_eq!(row(&other, &new).await.status, Status::Finished);
    assert_eq!(journal(&other, &new).await.len(), 3);
}

pub async fn a_walk_from_another_point_writes_nothing_at_all<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    // The key stands where the second step of the walk would start: it is the first that counts.
    let at = row(&store, &new).await.created_at;
    store.advance(lease, first(b"reached", at)).await.unwrap();
    refused(&factory, &store, &new, lease, STARTED).await;
    refused(&factory, &store, &new, lease, CAPTURED).await;
}

pub async fn a_walk_by_another_fence_writes_nothing_at_all<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let lease = taken(&store, take_of(&new)).await.lease;
    refused(&factory, &store, &new, stale, STARTED).await;
    refused(&factory, &store, &new, Lease { fence: lease.fence + 1, ..lease }, STARTED).await;
}

pub async fn a_walk_of_a_finished_key_writes_nothing_at_all<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let response = response(b"done");
    store.advance(lease, finish(&response, row(&store, &new).await.created_at)).await.unwrap();
    refused(&factory, &store, &new, lease, STARTED).await;
    refused(&factory, &store, &new, lease, "finished").await;
}

pub async fn a_walk_of_another_id_writes_nothing_at_all<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    refused(&factory, &store, &new, Lease { id: uuid::Uuid::now_v7(), ..lease }, STARTED).await;
}

pub async fn of_a_walk_that_is_rolled_back_or_dropped_nothing_is_left<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let (at, response) = (row(&store, &new).await.created_at, response(b"done"));
    let before = picture(&store, &key_of(&new)).await;
    for ending in ["rolled back", "dropped"] {
        let mut tx = store.begin().await.unwrap();
        factory.note(&mut *tx, "order").await.unwrap();
        store.advance_in(&mut tx, lease, &to_the_end(at, &response), &[job("receipt")]).await.unwrap();
        match ending {
            "dropped" => drop(tx),
            _ => store.rollback(tx).await,
        }
        nothing_happened(&factory, &store, &new, &before, ending).await;
    }
    walked(&store, lease, &to_the_end(at, &response)).await;
    assert_eq!(journal(&store, &new).await.len(), 3);
}

pub async fn a_step_begun_within_the_transaction_gets_the_time_of_its_point<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let (at, response) = (row(&store, &new).await.created_at, response(b"done"));
    factory.clock(&store).advance(MINUTE);
    walked(&store, lease, &to_the_end(at, &response)).await;
    let points = journal(&store, &new).await;
    assert_eq!(points[0].first_attempt_at, at, "the first was begun before");
    assert_apart(at, points[0].reached_at, MINUTE);
    for point in &points[1..] {
        assert_eq!(point.first_attempt_at, point.reached_at);
        assert_apart(at, point.reached_at, MINUTE);
    }
    assert!(points.is_sorted_by_key(|point| point.reached_at));
}

pub async fn whoever_takes_the_key_after_a_walk_gets_the_last_points_data<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let data: Vec<u8> = (0..=255).collect();
    let next = walked(&store, lease, &[first(b"one", at), within(second(&data, at))]).await;
    factory.clock(&store).advance(LEASE);
    let taken = taken(&factory.reopen(&store).await, take_of(&new)).await;
    assert_eq!((&*taken.recovery_point, taken.seq), (CAPTURED, 2));
    assert!(taken.data == Some(data));
    assert_eq!((taken.first_attempt_at, taken.step_attempts), (next, 2));
}

pub async fn who_goes_on_after_a_walk_counts_on_from_its_last_point<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let next = walked(&store, lease, &[first(b"one", at), within(second(b"two", at))]).await;
    let response = response(b"done");
    let end = Advance { prev: CAPTURED, step: "answer", seq: 3, ..finish(&response, next) };
    store.advance(lease, end).await.unwrap();
    let seqs: Vec<_> = journal(&store, &new).await.iter().map(|point| point.seq).collect();
    assert_eq!(seqs, [1, 2, 3]);
}

pub async fn the_notes_and_jobs_of_a_walk_are_committed_with_it<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let (at, jobs) = (row(&store, &new).await.created_at, [job("receipt"), job("shipment")]);
    let mut tx = store.begin().await.unwrap();
    factory.note(&mut *tx, "order").await.unwrap();
    factory.note(&mut *tx, "payment").await.unwrap();
    store.advance_in(&mut tx, lease, &[first(b"", at), within(second(b"", at))], &jobs).await.unwrap();
    store.commit(tx).await.unwrap();
    let mut notes = factory.notes(&store).await;
    notes.sort();
    assert_eq!(notes, ["order", "payment"]);
    let mut staged = factory.staged(&store).await;
    staged.sort_by_key(|job| job.message_id);
    assert_eq!(staged, jobs);
}

pub async fn a_walk_extends_the_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    factory.clock(&store).advance(LEASE - SLACK);
    walked(&store, lease, &[first(b"", at), within(second(b"", at))]).await;
    factory.clock(&store).advance(LEASE - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    factory.clock(&store).advance(SLACK);
    taken(&store, take_of(&new)).await;
}

pub async fn a_walk_forgets_why_the_last_run_stopped<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.release(lease, Some("away")).await.unwrap();
    let taken = taken(&store, take_of(&new)).await;
    let at = taken.first_attempt_at;
    let began = Advance { attempts: taken.step_attempts, ..first(b"", at) };
    walked(&store, taken.lease, &[began, within(second(b"", at))]).await;
    assert_eq!(row(&store, &new).await.last_error, None);
    let points = journal(&store, &new).await;
    assert_eq!(
        points.iter().map(|point| (point.attempts, point.fence)).collect::<Vec<_>>(),
        [(2, 2), (1, 2)]
    );
}

pub async fn a_heartbeat_is_not_held_up_before_the_walk<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let (heart, at) = (store.heart(), row(&store, &new).await.created_at);
    // Steps write for as long as they like, and only then comes the walk.
    let mut tx = store.begin().await.unwrap();
    factory.note(&mut *tx, "order").await.unwrap();
    let beats = tokio::time::timeout(SOON, heart.heartbeat(&[lease], LEASE)).await;
    match beats.expect("the heartbeat waits for a transaction") {
        Ok(beats) => assert!(beats == [Beat::Missed] || beats == [Beat::Renewed], "{beats:?}"),
        Err(error) => assert!(error.is_transient(), "{error}"),
    }
    store.advance_in(&mut tx, lease, &[first(b"", at), within(second(b"", at))], &[]).await.unwrap();
    store.commit(tx).await.unwrap();
    assert_eq!(heart.heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Renewed]);
}

pub async fn a_walk_of_forty_points_is_one_step_for_who_looks<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let names: Vec<_> = (1..=40).map(|n| format!("point_{n}")).collect();
    let data: Vec<_> = (1..=40).map(|n| vec![n; usize::from(n) * 1000]).collect();
    let prevs = std::iter::once(STARTED).chain(names.iter().map(String::as_str));
    let points = (1..).zip(prevs).zip(names.iter().zip(&data));
    let walk: Vec<_> = points
        .map(|((seq, prev), (name, data))| Advance {
            prev,
            seq,
            to: To::Point { name, data },
            first_attempt_at: (seq == 1).then_some(at),
            ..first(&[], at)
        })
        .collect();
    walked(&store, lease, &walk).await;
    let journal = journal(&store, &new).await;
    assert!(journal.iter().map(|point| &point.name).eq(&names), "all of them, in order");
    store.release(lease, None).await.unwrap();
    let points = names.iter().map(String::as_str).collect::<Vec<_>>();
    let taken = taken(&store, workflow::seam::Take { points: &points, ..take_of(&new) }).await;
    assert!(taken.seq == 40 && taken.data == data.last().cloned());
}

/// A step that began within the transaction.
fn within(advance: Advance<'_>) -> Advance<'_> {
    Advance { first_attempt_at: None, ..advance }
}

fn to_the_end<'a>(at: DateTime<Utc>, response: &'a StoredResponse) -> [Advance<'a>; 3] {
    let answer = Advance { prev: CAPTURED, step: "answer", seq: 3, ..finish(response, at) };
    [first(b"one", at), within(second(b"two", at)), within(answer)]
}

/// A walk in a transaction of its own.
async fn walked(store: &impl Store, lease: Lease, walk: &[Advance<'_>]) -> DateTime<Utc> {
    let mut tx = store.begin().await.expect("begin");
    let at = store.advance_in(&mut tx, lease, walk, &[]).await.expect("advance_in");
    store.commit(tx).await.expect("commit");
    at
}

/// A walk that must be refused, and leaves nothing even if its transaction were committed.
async fn refused<F: Factory>(factory: &F, store: &F::Store, new: &NewKey, lease: Lease, from: &str) {
    let (at, response) = (row(store, new).await.created_at, response(b"late"));
    let before = picture(store, &key_of(new)).await;
    let mut walk = to_the_end(at, &response);
    for (i, advance) in walk.iter_mut().enumerate() {
        advance.seq = 7 + i32::try_from(i).expect("three");
    }
    walk[0].prev = from;
    for ending in ["rolled back", "committed"] {
        let mut tx = store.begin().await.unwrap();
        let late = store.advance_in(&mut tx, lease, &walk, &[job("late")]).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "from {from}: {late:?}");
        match ending {
            "committed" => store.commit(tx).await.unwrap(),
            _ => store.rollback(tx).await,
        }
        nothing_happened(factory, store, new, &before, ending).await;
    }
}

async fn nothing_happened<F: Factory>(
    factory: &F,
    store: &F::Store,
    new: &NewKey,
    before: &str,
    ending: &str,
) {
    assert_eq!(picture(store, &key_of(new)).await, before, "{ending}");
    assert!(factory.notes(store).await.is_empty(), "{ending}");
    assert!(factory.staged(store).await.is_empty(), "{ending}");
}

async fn journal(store: &impl Store, new: &NewKey) -> Vec<PointRow> {
    store.journal(&[new.id]).await.expect("journal")
}

fn named(point: PointRow) -> (i32, String, String) {
    (point.seq, point.name, point.step)
}
