//! Time: the database's, moved by the clock.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::time::Duration;

use workflow::Store;
use workflow::seam::{Advance, NewKey, Take, To};

use super::Factory;
use super::fixture::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub async fn the_clock_moves_what_is_written<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (one, _) = planted(&store, "one").await;
    factory.clock(&store).advance(LEASE * 5);
    let (two, _) = planted(&store, "two").await;
    assert_apart(row(&store, &one).await.created_at, row(&store, &two).await.created_at, LEASE * 5);
}

pub async fn a_second_handle_goes_by_the_same_clock<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (one, _) = planted(&store, "one").await;
    factory.clock(&other).advance(LEASE);
    let (two, _) = planted(&other, "two").await;
    let (one, two) = (row(&other, &one).await, row(&store, &two).await);
    assert_apart(one.created_at, two.created_at, LEASE);
    assert!(one.lease_left.is_zero() && !two.lease_left.is_zero());
}

pub async fn the_heartbeats_handle_goes_by_the_same_clock<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let heart = store.heart();
    let (new, lease) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE * 5);
    heart.heartbeat(&[lease], LEASE).await.unwrap();
    let left = row(&store, &new).await.lease_left;
    assert!(left > LEASE - SLACK && left <= LEASE, "{left:?}");
}

pub async fn a_take_is_the_last_run_and_moves_neither_birth_nor_first_attempt<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    let before = row(&store, &new).await;
    assert_eq!(before.last_run_at, before.created_at);
    factory.clock(&store).advance(LEASE * 2);
    let taken = taken(&store, take_of(&new)).await;
    let after = row(&store, &new).await;
    assert_apart(before.last_run_at, after.last_run_at, LEASE * 2);
    assert_eq!(after.created_at, before.created_at);
    assert_eq!(after.first_attempt_at, before.first_attempt_at);
    assert_eq!(Some(taken.first_attempt_at), before.first_attempt_at);
}

pub async fn an_advance_is_no_run<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let before = row(&store, &new).await;
    factory.clock(&store).advance(MINUTE);
    let at = store.advance(lease, first(b"", before.created_at)).await.unwrap();
    let after = row(&store, &new).await;
    assert_eq!((after.created_at, after.last_run_at), (before.created_at, before.last_run_at));
    assert_apart(before.created_at, at, MINUTE);
}

pub async fn points_are_reached_when_the_database_says<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let created = row(&store, &new).await.created_at;
    factory.clock(&store).advance(LEASE);
    let at = store.advance(lease, first(b"", created)).await.unwrap();
    factory.clock(&store).advance(LEASE * 2);
    store.advance(lease, second(b"", at)).await.unwrap();
    let journal = store.journal(&[new.id]).await.unwrap();
    assert_apart(created, journal[0].reached_at, LEASE);
    assert_apart(journal[0].reached_at, journal[1].reached_at, LEASE * 2);
    assert_eq!(journal[1].first_attempt_at, at, "first attempts are what the runner says");
}

pub async fn a_key_is_finished_when_the_database_says<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let created = row(&store, &new).await.created_at;
    factory.clock(&store).advance(LEASE * 3);
    store.advance(lease, finish(&response(b""), created)).await.unwrap();
    let finished = row(&store, &new).await;
    assert_apart(created, finished.finished_at.unwrap(), LEASE * 3);
    assert_eq!(finished.created_at, created);
}

pub async fn a_lease_lasts_as_long_as_was_asked_for<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let new = NewKey { lease: LEASE * 2, ..new_key("tenant", "k") };
    inserted(&store, &new).await;
    factory.clock(&store).advance(LEASE * 2 - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    factory.clock(&store).advance(SLACK);
    let taken = taken(&store, Take { lease: LEASE * 4, ..take_of(&new) }).await;
    factory.clock(&store).advance(LEASE * 4 - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    let at = Advance { lease: LEASE * 8, ..first(b"", taken.first_attempt_at) };
    store.advance(taken.lease, at).await.unwrap();
    factory.clock(&store).advance(LEASE * 8 - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    factory.clock(&store).advance(SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_some());
}

pub async fn a_lease_of_milliseconds_is_not_rounded_to_seconds<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let short = Duration::from_millis(250);
    let new = NewKey { lease: short, ..new_key("tenant", "k") };
    inserted(&store, &new).await;
    assert!(row(&store, &new).await.lease_left <= short);
    factory.clock(&store).advance(short);
    taken(&store, take_of(&new)).await;
}

pub async fn the_clock_moves_by_milliseconds<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    for _ in 0..100 {
        factory.clock(&store).advance(Duration::from_millis(37));
    }
    let (later, _) = planted(&store, "later").await;
    assert_apart(
        row(&store, &new).await.created_at,
        row(&store, &later).await.created_at,
        Duration::from_millis(3700),
    );
}

pub async fn leases_and_retentions_of_a_hundred_years_are_kept<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let new = NewKey { lease: YEAR * 100, ..new_key("tenant", "k") };
    let lease = inserted(&store, &new).await;
    let left = row(&store, &new).await.lease_left;
    assert!(left > YEAR * 99 && left <= YEAR * 100, "{left:?}");
    factory.clock(&store).advance(YEAR * 50);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    let response = response(b"");
    let to = To::Finished { response: &response, retention: YEAR * 100 };
    let at = row(&store, &new).await.created_at;
    store.advance(lease, Advance { to, ..first(b"", at) }).await.unwrap();
    assert!(row(&store, &new).await.finished_at.is_some());
}
