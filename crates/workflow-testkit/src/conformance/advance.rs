//! Advances: from point to point, as a commit of their own.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use workflow::seam::{Advance, Lease, NewKey, Status, To};
use workflow::{Store, StoreError};

use super::Factory;
use super::fixture::*;

pub async fn an_advance_moves_the_key_to_the_point<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = start(&store, &new).await;
    store.advance(lease, first(b"data", at)).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!((&*row.recovery_point, row.fence, row.status), (CREATED, 1, Status::Running));
    let position = store.settle(lease).await.unwrap().unwrap();
    assert_eq!((&*position.recovery_point, position.fence), (CREATED, 1));
}

pub async fn whoever_takes_the_key_gets_the_last_points_data<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = start(&store, &new).await;
    store.advance(lease, first(b"one", at)).await.unwrap();
    store.advance(lease, second(b"two", at)).await.unwrap();
    factory.clock(&store).advance(LEASE);
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((&*taken.recovery_point, taken.seq, taken.data.as_deref()), (CAPTURED, 2, Some(&b"two"[..])));
    assert_eq!(taken.request_params, new.request_params);
}

pub async fn an_advance_by_a_fence_that_is_too_low_is_refused<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    taken(&store, take_of(&new)).await;
    // The point is the right one: only the fence stands in the way.
    refused(&store, &new, stale, |advance| advance).await;
}

pub async fn an_advance_by_a_fence_that_nobody_has_yet_is_refused<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    refused(&store, &new, Lease { fence: 2, ..lease }, |advance| advance).await;
}

pub async fn an_advance_from_another_point_is_refused<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    // The fence is the right one: only the point stands in the way.
    refused(&store, &new, lease, |advance| Advance { prev: CREATED, ..advance }).await;
    refused(&store, &new, lease, |advance| Advance { prev: "START%", ..advance }).await;
}

pub async fn an_advance_of_another_id_is_refused<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    refused(&store, &new, Lease { id: Uuid::now_v7(), ..lease }, |advance| advance).await;
}

pub async fn an_advance_moves_no_other_key<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let (other, _) = planted(&store, "other").await;
    let before = picture(&store, &key_of(&other)).await;
    let at = start(&store, &new).await;
    store.advance(lease, first(b"data", at)).await.unwrap();
    assert_eq!(picture(&store, &key_of(&other)).await, before);
}

pub async fn the_same_advance_is_refused_the_second_time<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = start(&store, &new).await;
    store.advance(lease, first(b"data", at)).await.unwrap();
    refused(&store, &new, lease, |advance| advance).await;
    assert_eq!(store.journal(&[new.id]).await.unwrap().len(), 1);
}

pub async fn a_lease_that_ran_out_but_was_not_taken_still_advances<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = start(&store, &new).await;
    factory.clock(&store).advance(LEASE * 2);
    store.advance(lease, first(b"data", at)).await.unwrap();
    assert!(store.take(take_of(&new)).await.unwrap().is_none(), "and has the lease again");
}

pub async fn an_advance_extends_the_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = start(&store, &new).await;
    factory.clock(&store).advance(LEASE - SLACK);
    store.advance(lease, first(b"data", at)).await.unwrap();
    factory.clock(&store).advance(LEASE - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    factory.clock(&store).advance(SLACK);
    taken(&store, take_of(&new)).await;
}

pub async fn an_advance_begins_to_count_anew<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let taken_over = taken(&store, take_of(&new)).await;
    again(&store, taken_over.lease, 2).await.unwrap();
    store.advance(taken_over.lease, first(b"data", taken_over.first_attempt_at)).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!((row.attempts, row.step_attempts), (1, 1));
    factory.clock(&store).advance(LEASE);
    assert_eq!(taken(&store, take_of(&new)).await.step_attempts, 2);
}

pub async fn an_advance_records_the_next_steps_first_attempt<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = start(&store, &new).await;
    factory.clock(&store).advance(MINUTE);
    let next = store.advance(lease, first(b"data", at)).await.unwrap();
    assert!(next > at);
    assert_eq!(row(&store, &new).await.first_attempt_at, Some(next));
    assert_eq!(store.settle(lease).await.unwrap().unwrap().first_attempt_at, Some(next));
}

pub async fn data_of_any_bytes_comes_back<F: Factory>(factory: F) {
    let every: Vec<u8> = (0..=255).chain([0, 0, 255]).collect();
    data_comes_back(factory, &every).await;
}

pub async fn data_of_one_mebibyte_comes_back<F: Factory>(factory: F) {
    let large: Vec<u8> = (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    data_comes_back(factory, &large).await;
}

pub async fn data_without_a_byte_is_not_no_data<F: Factory>(factory: F) {
    data_comes_back(factory, b"").await;
}

async fn data_comes_back<F: Factory>(factory: F, data: &[u8]) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = start(&store, &new).await;
    store.advance(lease, first(data, at)).await.unwrap();
    store.release(lease, None).await.unwrap();
    let taken = taken(&store, take_of(&new)).await;
    assert!(taken.data.as_deref() == Some(data), "the bytes are not those that were stored");
}

pub async fn forty_points_are_reached_one_after_the_other<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let mut at = start(&store, &new).await;
    let names: Vec<String> =
        (0..=40).map(|i| if i == 0 { "started".into() } else { format!("p{i}") }).collect();
    for (i, pair) in names.windows(2).enumerate() {
        let data = format!("data {i}");
        let to = To::Point { name: &pair[1], data: data.as_bytes() };
        at = store
            .advance(lease, Advance { prev: &pair[0], seq: i as i32 + 1, to, ..first(b"", at) })
            .await
            .unwrap();
    }
    let journal = store.journal(&[new.id]).await.unwrap();
    assert!(journal.iter().map(|point| &point.name).eq(&names[1..]));
    store.release(lease, None).await.unwrap();
    let points: Vec<&str> = names.iter().map(String::as_str).collect();
    let taken = taken(&store, workflow::seam::Take { points: &points, ..take_of(&new) }).await;
    assert_eq!((taken.seq, taken.data), (40, Some(b"data 39".to_vec())));
}

/// When the first attempt of the first step was recorded.
async fn start(store: &impl Store, new: &NewKey) -> DateTime<Utc> {
    row(store, new).await.first_attempt_at.expect("the first attempt is recorded")
}

/// That an advance, changed like this, finds no row, and changes none.
async fn refused(
    store: &impl Store,
    new: &NewKey,
    lease: Lease,
    change: impl Fn(Advance<'_>) -> Advance<'_>,
) {
    let before = picture(store, &key_of(new)).await;
    let at = row(store, new).await.created_at;
    let response = response(b"late");
    for to in [first(b"late", at).to, To::Finished { response: &response, retention: Duration::ZERO }] {
        let late = store.advance(lease, change(Advance { seq: 9, to, ..first(b"late", at) })).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)));
    }
    assert_eq!(picture(store, &key_of(new)).await, before);
}
