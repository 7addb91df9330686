//! Leases and fences: heartbeat, release, settle.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::time::Duration;

use uuid::Uuid;
use workflow::seam::{Beat, Lease, Position, Status};
use workflow::{Store, StoreError};

use super::Factory;
use super::fixture::*;

pub async fn a_heartbeat_extends_the_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE - SLACK);
    assert_eq!(store.heart().heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Renewed]);
    factory.clock(&store).advance(LEASE - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    factory.clock(&store).advance(SLACK);
    taken(&store, take_of(&new)).await;
}

pub async fn a_heartbeat_changes_only_the_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let before = picture(&store, &key_of(&new)).await;
    factory.clock(&store).advance(MINUTE);
    store.heartbeat(&[lease], LEASE).await.unwrap();
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_heartbeat_renews_a_lease_that_ran_out_and_was_not_taken<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE * 2);
    assert_eq!(store.heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Renewed]);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
}

pub async fn a_heartbeat_of_an_overtaken_lease_is_lost_and_extends_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    taken(&store, take_of(&new)).await;
    factory.clock(&store).advance(LEASE - SLACK);
    assert_eq!(store.heartbeat(&[stale], LEASE).await.unwrap(), [Beat::Lost]);
    factory.clock(&store).advance(SLACK);
    assert_eq!(taken(&store, take_of(&new)).await.lease.fence, 3);
}

pub async fn a_heartbeat_never_revives_a_finished_key<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let response = response(b"done");
    store.advance(lease, finish(&response, row(&store, &new).await.created_at)).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    assert_eq!(store.heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Lost]);
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_late_heartbeat_does_not_take_back_a_released_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.release(lease, None).await.unwrap();
    assert_eq!(store.heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Lost]);
    taken(&store, take_of(&new)).await;
}

pub async fn a_heartbeat_answers_each_lease_in_order<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (_, one) = planted(&store, "one").await;
    let (over, stale) = planted(&store, "overtaken").await;
    let (_, two) = planted(&store, "two").await;
    store.release(stale, None).await.unwrap();
    let newer = taken(&store, take_of(&over)).await.lease;
    let unknown = Lease { id: Uuid::now_v7(), fence: 1 };
    let early = Lease { fence: 2, ..two };
    let leases = [two, unknown, stale, one, early, newer];
    let expected = [Beat::Renewed, Beat::Lost, Beat::Lost, Beat::Renewed, Beat::Lost, Beat::Renewed];
    assert_eq!(store.heartbeat(&leases, LEASE).await.unwrap(), expected);
    assert!(store.heartbeat(&[], LEASE).await.unwrap().is_empty());
}

pub async fn a_heartbeat_takes_a_thousand_leases_at_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let mut leases: Vec<_> = (0..999).map(|_| Lease { id: Uuid::now_v7(), fence: 1 }).collect();
    leases.insert(700, lease);
    factory.clock(&store).advance(LEASE);
    let beats = store.heartbeat(&leases, LEASE).await.unwrap();
    assert_eq!(beats.len(), 1000);
    assert!(
        beats.iter().enumerate().all(|(i, beat)| *beat == if i == 700 { Beat::Renewed } else { Beat::Lost })
    );
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
}

pub async fn a_released_key_may_be_taken_at_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.release(lease, None).await.unwrap();
    assert!(row(&store, &new).await.lease_left.is_zero());
    assert_eq!(taken(&store, take_of(&new)).await.lease.fence, 2);
}

pub async fn a_release_keeps_why_and_the_next_one_forgets_it<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let why = "step `capture_payment` failed: 'timeout' at 100% ☃\nand a second line";
    store.release(lease, Some(why)).await.unwrap();
    assert_eq!(row(&store, &new).await.last_error.as_deref(), Some(why));
    let lease = taken(&store, take_of(&new)).await.lease;
    assert_eq!(row(&store, &new).await.last_error.as_deref(), Some(why), "a take forgets nothing");
    store.release(lease, None).await.unwrap();
    assert_eq!(row(&store, &new).await.last_error, None);
}

pub async fn a_claim_that_ends_in_a_release_is_no_crash<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.release(lease, Some("away")).await.unwrap();
    assert_eq!(row(&store, &new).await.attempts, 0);
    for run in 2..=4 {
        let taken = taken(&store, take_of(&new)).await;
        assert_eq!(row(&store, &new).await.attempts, 1);
        assert_eq!(taken.step_attempts, run, "but the step was attempted");
        store.release(taken.lease, Some("away")).await.unwrap();
        assert_eq!(row(&store, &new).await.attempts, 0);
    }
}

pub async fn a_release_that_is_repeated_counts_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    for _ in 0..3 {
        factory.clock(&store).advance(LEASE);
        taken(&store, take_of(&new)).await;
    }
    let last = Lease { id: new.id, fence: 4 };
    store.release(last, Some("away")).await.unwrap();
    assert_eq!(row(&store, &new).await.attempts, 3);
    store.release(last, Some("away")).await.unwrap();
    assert_eq!(row(&store, &new).await.attempts, 3);
}

pub async fn a_release_by_an_overtaken_lease_does_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    taken(&store, take_of(&new)).await;
    let before = picture(&store, &key_of(&new)).await;
    store.release(stale, Some("late")).await.unwrap();
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
}

pub async fn a_release_of_a_finished_key_does_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let response = response(b"done");
    store.advance(lease, finish(&response, row(&store, &new).await.created_at)).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    store.release(lease, Some("late")).await.unwrap();
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_release_touches_no_other_key<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (_, lease) = planted(&store, "k").await;
    let (other, _) = planted(&store, "other").await;
    let before = picture(&store, &key_of(&other)).await;
    store.release(lease, Some("away")).await.unwrap();
    store.release(Lease { id: Uuid::now_v7(), fence: 1 }, Some("away")).await.unwrap();
    assert_eq!(picture(&store, &key_of(&other)).await, before);
}

pub async fn a_key_that_was_released_and_taken_keeps_its_point<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = store.advance(lease, first(b"data", row(&store, &new).await.created_at)).await.unwrap();
    store.release(lease, Some("away")).await.unwrap();
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((&*taken.recovery_point, taken.data.as_deref()), (CREATED, Some(&b"data"[..])));
    assert_eq!((taken.first_attempt_at, taken.step_attempts), (at, 2));
}

pub async fn a_released_lease_is_overtaken_like_any_other<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = planted(&store, "k").await;
    store.release(stale, None).await.unwrap();
    let lease = taken(&store, take_of(&new)).await.lease;
    let at = row(&store, &new).await.created_at;
    assert!(matches!(store.advance(stale, first(b"late", at)).await, Err(StoreError::LeaseLost)));
    store.advance(lease, first(b"data", at)).await.unwrap();
}

pub async fn the_rest_of_a_lease_shrinks_to_zero<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE / 2);
    let left = row(&store, &new).await.lease_left;
    assert!(left <= LEASE / 2 && left > LEASE / 2 - SLACK, "{left:?}");
    factory.clock(&store).advance(LEASE);
    assert_eq!(row(&store, &new).await.lease_left, Duration::ZERO);
}

pub async fn a_row_is_settled_where_it_stands_whoever_asks<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let first_attempt_at = row(&store, &new).await.first_attempt_at;
    let here = Position {
        fence: 1,
        status: Status::Running,
        recovery_point: "started".into(),
        first_attempt_at,
        answer: None,
    };
    assert_eq!(store.settle(lease).await.unwrap(), Some(here.clone()));
    assert_eq!(store.settle(Lease { fence: 9, ..lease }).await.unwrap(), Some(here.clone()));
    factory.clock(&store).advance(LEASE);
    taken(&store, take_of(&new)).await;
    assert_eq!(store.settle(lease).await.unwrap(), Some(Position { fence: 2, ..here }));
    assert_eq!(store.settle(Lease { id: Uuid::now_v7(), ..lease }).await.unwrap(), None);
}

pub async fn a_finished_row_is_settled_as_finished<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let response = response(b"done");
    store.advance(lease, finish(&response, row(&store, &new).await.created_at)).await.unwrap();
    let position = store.settle(lease).await.unwrap().unwrap();
    assert_eq!(
        (position.fence, position.status, &*position.recovery_point),
        (1, Status::Finished, "finished")
    );
}

pub async fn to_settle_waits_for_a_commit_under_way<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let mut tx = store.begin().await.unwrap();
    store.advance_in(&mut tx, lease, &[first(b"data", at)], &[]).await.unwrap();
    let mut asking = tokio::spawn(async move { other.settle(lease).await });
    // No barrier shows that somebody waits. A store that does not wait has answered by now; one that does never
    // fails here.
    if let Ok(early) = tokio::time::timeout(Duration::from_millis(200), &mut asking).await {
        let early = early.unwrap();
        assert!(early.is_err_and(|error| error.is_transient()), "it answered before the commit");
        store.commit(tx).await.unwrap();
        assert_eq!(store.settle(lease).await.unwrap().unwrap().recovery_point, CREATED);
        return;
    }
    store.commit(tx).await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().unwrap().recovery_point, CREATED);
}
