//! Attempts that have reached nothing, and what becomes of the key then.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::time::Duration;

use uuid::Uuid;
use workflow::seam::{Beat, Failure, Lease, Status, Then};
use workflow::{Key, Store, StoreError};

use super::Factory;
use super::fixture::*;

pub async fn a_further_attempt_is_counted_with_the_failure_of_the_last<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let before = row(&store, &new).await;
    again(&store, lease, 1).await.unwrap();
    store
        .fail(lease, Failure { error: "hung up", in_doubt: true, ..failure(2) }, Then::Again(LEASE))
        .await
        .unwrap();
    let after = row(&store, &new).await;
    assert_eq!((after.step_attempts, after.attempts, after.fence), (3, 1, 1), "it is no further claim");
    assert_eq!((after.status, after.last_error.as_deref()), (Status::Running, Some("hung up")));
    assert_eq!(after.first_attempt_at, before.first_attempt_at);
    assert_eq!(after.last_run_at, before.last_run_at);
    let failures = store.failures(&[new.id]).await.unwrap();
    let told: Vec<_> =
        failures.iter().map(|f| (f.seq, f.attempt, &*f.step, &*f.error, f.in_doubt, f.fence)).collect();
    assert_eq!(told, [(1, 1, "create_order", "away", false, 1), (1, 2, "create_order", "hung up", true, 1)]);
    assert_apart(after.created_at, failures[1].failed_at, Duration::ZERO);
}

pub async fn a_further_attempt_extends_the_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE - SLACK);
    again(&store, lease, 1).await.unwrap();
    factory.clock(&store).advance(LEASE - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
}

/// Its reply was lost.
pub async fn a_failure_that_is_told_twice_counts_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    again(&store, lease, 1).await.unwrap();
    let once = picture(&store, &key_of(&new)).await;
    again(&store, lease, 1).await.unwrap();
    assert_eq!(picture(&store, &key_of(&new)).await, once);
}

pub async fn a_failure_of_another_attempt_is_refused<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    again(&store, lease, 1).await.unwrap();
    again(&store, lease, 2).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    for attempt in [1, 4] {
        assert!(matches!(again(&store, lease, attempt).await, Err(StoreError::LeaseLost)), "{attempt}");
    }
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_failure_by_a_stale_lease_is_refused<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let taken = taken(&store, take_of(&new)).await;
    let before = picture(&store, &key_of(&new)).await;
    for then in [Then::Again(LEASE), Then::Stay, Then::Free, Then::Later(MINUTE), Then::Park] {
        for attempt in [1, 2] {
            let late = store.fail(stale, failure(attempt), then).await;
            assert!(matches!(late, Err(StoreError::LeaseLost)), "{then:?}: {late:?}");
        }
        let unknown = store.fail(Lease { id: Uuid::now_v7(), ..taken.lease }, failure(2), then).await;
        assert!(matches!(unknown, Err(StoreError::LeaseLost)), "{then:?}: {unknown:?}");
    }
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_failure_does_not_take_back_a_released_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.release(lease, None).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    assert!(matches!(again(&store, lease, 1).await, Err(StoreError::LeaseLost)));
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    taken(&store, take_of(&new)).await;
}

pub async fn a_failure_may_leave_everything_as_it_is<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let before = row(&store, &new).await;
    store.fail(lease, failure(1), Then::Stay).await.unwrap();
    let after = row(&store, &new).await;
    assert_eq!((after.status, after.step_attempts, after.attempts), (Status::Running, 1, 1));
    assert!(!after.lease_left.is_zero() && after.lease_left <= before.lease_left);
    assert_eq!(store.failures(&[new.id]).await.unwrap().len(), 1);
    store.advance(lease, first(b"data", before.created_at)).await.unwrap();
}

pub async fn a_key_that_is_freed_may_be_taken_at_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.fail(lease, failure(1), Then::Free).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!((row.status, row.attempts, row.last_error.as_deref()), (Status::Running, 0, Some("away")));
    assert!(row.lease_left.is_zero());
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.lease.fence, taken.step_attempts, taken.failures), (2, 2, 1));
}

pub async fn a_key_that_waits_is_taken_when_its_time_has_come_and_not_before<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.fail(lease, failure(1), Then::Later(LEASE + LEASE)).await.unwrap();
    let waits = row(&store, &new).await;
    assert_eq!((waits.status, waits.attempts, waits.step_attempts), (Status::Waiting, 0, 1));
    assert!(waits.lease_left.is_zero() && waits.wake_left > LEASE && waits.wake_left <= LEASE + LEASE);
    factory.clock(&store).advance(LEASE + LEASE - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    factory.clock(&store).advance(SLACK);
    assert!(row(&store, &new).await.wake_left.is_zero());
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.lease.fence, taken.step_attempts, taken.failures), (2, 2, 1));
    assert_eq!(row(&store, &new).await.status, Status::Running);
    // It does not wait any more.
    store.release(taken.lease, None).await.unwrap();
    assert!(store.take(take_of(&new)).await.unwrap().is_some());
}

pub async fn a_key_that_waits_is_neither_advanced_nor_extended<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.fail(lease, failure(1), Then::Later(MINUTE)).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    let at = row(&store, &new).await.created_at;
    assert!(matches!(store.advance(lease, first(b"late", at)).await, Err(StoreError::LeaseLost)));
    assert_eq!(store.heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Lost]);
    store.release(lease, Some("late")).await.unwrap();
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_parked_key_is_taken_only_after_somebody_let_it_go_on<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.fail(lease, failure(1), Then::Park).await.unwrap();
    let parked = row(&store, &new).await;
    assert_eq!((parked.status, parked.attempts), (Status::NeedsAttention, 0));
    factory.clock(&store).advance(LEASE + LEASE);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    assert!(store.unpark(&key_of(&new)).await.unwrap());
    assert_eq!(row(&store, &new).await.status, Status::Running);
    assert!(!store.unpark(&key_of(&new)).await.unwrap(), "once is enough");
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.lease.fence, taken.step_attempts), (3, 2), "who lets it go on locks the old run out");
    let at = parked.created_at;
    assert!(matches!(store.advance(lease, first(b"late", at)).await, Err(StoreError::LeaseLost)));
    store.advance(taken.lease, first(b"data", at)).await.unwrap();
}

pub async fn a_key_that_waits_goes_on_before_its_time_if_somebody_says_so<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.fail(lease, failure(1), Then::Later(LEASE)).await.unwrap();
    assert!(store.unpark(&key_of(&new)).await.unwrap());
    assert!(row(&store, &new).await.wake_left.is_zero());
    assert_eq!(taken(&store, take_of(&new)).await.lease.fence, 3);
}

pub async fn to_let_go_on_what_runs_or_is_finished_or_unknown_does_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (runs, _) = planted(&store, "runs").await;
    let (ended, lease) = planted(&store, "ended").await;
    let response = response(b"done");
    store.advance(lease, finish(&response, row(&store, &ended).await.created_at)).await.unwrap();
    for new in [runs, ended] {
        let before = picture(&store, &key_of(&new)).await;
        assert!(!store.unpark(&key_of(&new)).await.unwrap());
        assert_eq!(picture(&store, &key_of(&new)).await, before);
    }
    assert!(!store.unpark(&Key::new("tenant", "unknown").unwrap()).await.unwrap());
}

/// What crashed, and what was in doubt, may have done its work.
pub async fn whoever_takes_the_key_knows_how_many_attempts_did_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    again(&store, lease, 1).await.unwrap();
    store.fail(lease, Failure { in_doubt: true, ..failure(2) }, Then::Again(LEASE)).await.unwrap();
    store.fail(lease, failure(3), Then::Free).await.unwrap();
    let crashes = taken(&store, take_of(&new)).await;
    assert_eq!((crashes.step_attempts, crashes.failures), (4, 2));
    factory.clock(&store).advance(LEASE);
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.step_attempts, taken.failures), (5, 2));
    assert!(taken.taken_at > taken.created_at && taken.first_attempt_at == taken.created_at);
}

pub async fn a_step_forward_leaves_the_failures_behind_it<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    again(&store, lease, 1).await.unwrap();
    store.advance(lease, first(b"data", at)).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!((row.step_attempts, row.last_error), (1, None));
    store.release(lease, None).await.unwrap();
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.step_attempts, taken.failures), (2, 0));
    assert_eq!(store.failures(&[new.id]).await.unwrap().len(), 1, "but they are told");
}

pub async fn failures_are_told_by_row_point_and_attempt<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let ((one, first_lease), (two, second_lease)) =
        (planted(&store, "one").await, planted(&store, "two").await);
    for attempt in 1..=11 {
        again(&store, second_lease, attempt).await.unwrap();
    }
    again(&store, first_lease, 1).await.unwrap();
    store.advance(first_lease, first(b"data", row(&store, &one).await.created_at)).await.unwrap();
    let later = Failure { seq: 2, step: "capture_payment", ..failure(1) };
    store.fail(first_lease, later, Then::Again(LEASE)).await.unwrap();
    let failures = store.failures(&[two.id, one.id]).await.unwrap();
    let told: Vec<_> = failures.iter().map(|failed| (failed.key_id, failed.seq, failed.attempt)).collect();
    let expected =
        [(one.id, 1, 1), (one.id, 2, 1)].into_iter().chain((1..=11).map(|attempt| (two.id, 1, attempt)));
    assert!(told.iter().copied().eq(expected), "{told:?}");
    assert_eq!(store.failures(&[]).await.unwrap(), []);
}

pub async fn an_error_of_any_text_comes_back<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let text = "'timeout' at 100% ☃\nand \"a\" second line; DROP TABLE x --";
    store.fail(lease, Failure { error: text, ..failure(1) }, Then::Stay).await.unwrap();
    assert_eq!(store.failures(&[new.id]).await.unwrap()[0].error, text);
    assert_eq!(row(&store, &new).await.last_error.as_deref(), Some(text));
    // A NUL, which no text of PostgreSQL has, loses nothing else.
    store.fail(lease, Failure { error: "a\0b", ..failure(1) }, Then::Park).await.unwrap();
    assert_eq!(row(&store, &new).await.status, Status::NeedsAttention);
}

pub async fn of_a_failure_and_a_take_one_wins<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    for round in 0..20 {
        let (new, lease) = planted(&store, &format!("k{round}")).await;
        factory.clock(&store).advance(LEASE);
        let (failing, taking) = (store.clone(), store.clone());
        let failed = tokio::spawn(async move { again(&failing, lease, 1).await });
        let claimed = new.clone();
        let took = tokio::spawn(async move { taking.take(take_of(&claimed)).await });
        let (failed, took) = (failed.await.unwrap(), took.await.unwrap().unwrap());
        assert_eq!(failed.is_ok(), took.is_none(), "{failed:?}");
        assert_eq!(row(&store, &new).await.step_attempts, 2);
    }
}
