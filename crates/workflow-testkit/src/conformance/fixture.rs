//! What the cases that work on the seam directly are made of: keys, claims and advances with made-up data.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use workflow::seam::{Advance, Failure, Lease, NewKey, Record, StoredResponse, Take, Taken, Then, To};
use workflow::{Key, STARTED, StagedJob, Store, StoreError};

/// So long that no lease runs out by itself while a case is running.
pub(super) const LEASE: Duration = Duration::from_secs(60 * 60);

pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Between what the database's clock says of two statements, beyond what the test's clock was moved.
pub(super) const SLACK: Duration = Duration::from_secs(10 * 60);

pub(super) const RETENTION: Duration = Duration::from_secs(72 * 60 * 60);

pub(super) const WORKFLOW: &str = "checkout";
pub(super) const CREATED: &str = "order_created";
pub(super) const CAPTURED: &str = "payment_captured";
pub(super) const POINTS: &[&str] = &[STARTED, CREATED, CAPTURED];

/// A digest or a seed with every kind of byte in it.
pub(super) fn bytes32(first: u8) -> [u8; 32] {
    std::array::from_fn(|i| first.wrapping_sub(i as u8))
}

pub(super) fn new_key(scope: &str, value: &str) -> NewKey {
    NewKey {
        id: Uuid::now_v7(),
        claim_id: Uuid::new_v4(),
        scope: scope.to_owned(),
        value: value.to_owned(),
        workflow: WORKFLOW.to_owned(),
        version: 3,
        digest: bytes32(7),
        digest_version: 1,
        effect_seed: bytes32(200),
        generation: 0,
        request_method: Some("POST".to_owned()),
        request_path: Some("/carts/7/complete?now=1".to_owned()),
        request_params: b"{\"cents\":500}".to_vec(),
        lease: LEASE,
    }
}

pub(super) fn key_of(new: &NewKey) -> Key {
    Key::new(new.scope.clone(), new.value.clone()).expect("a valid key")
}

/// Inserts a key that must be new.
pub(super) async fn inserted(store: &impl Store, new: &NewKey) -> Lease {
    let at = store.insert(new).await.expect("insert");
    assert!(at.is_some(), "a key that has no row is inserted");
    Lease { id: new.id, fence: 1 }
}

/// A key that was just inserted under a name of its own.
pub(super) async fn planted(store: &impl Store, value: &str) -> (NewKey, Lease) {
    let new = new_key("tenant", value);
    let lease = inserted(store, &new).await;
    (new, lease)
}

/// Another runner's claim of this key.
pub(super) fn take_of(new: &NewKey) -> Take<'_> {
    Take {
        scope: &new.scope,
        value: &new.value,
        claim_id: Uuid::new_v4(),
        workflow: &new.workflow,
        digest: Some(&new.digest),
        points: POINTS,
        lease: LEASE,
    }
}

/// Takes a key that must be free.
pub(super) async fn taken(store: &impl Store, take: Take<'_>) -> Taken {
    store.take(take).await.expect("take").expect("a free key is taken")
}

/// From `started` to `order_created`.
pub(super) fn first<'a>(data: &'a [u8], at: DateTime<Utc>) -> Advance<'a> {
    Advance {
        prev: STARTED,
        step: "create_order",
        seq: 1,
        attempts: 1,
        first_attempt_at: Some(at),
        to: To::Point { name: CREATED, data },
        lease: LEASE,
    }
}

/// From `order_created` to `payment_captured`.
pub(super) fn second<'a>(data: &'a [u8], at: DateTime<Utc>) -> Advance<'a> {
    Advance {
        prev: CREATED,
        step: "capture_payment",
        seq: 2,
        to: To::Point { name: CAPTURED, data },
        ..first(data, at)
    }
}

/// An attempt of the first step that has reached nothing.
pub(super) fn failure(attempt: i32) -> Failure<'static> {
    Failure { seq: 1, step: "create_order", attempt, error: "away", in_doubt: false, cancelled: false }
}

/// After this attempt of the first step, a further one.
pub(super) async fn again(store: &impl Store, lease: Lease, attempt: i32) -> Result<(), StoreError> {
    store.fail(lease, failure(attempt), Then::Again(LEASE)).await
}

/// From `started` to the response.
pub(super) fn finish<'a>(response: &'a StoredResponse, at: DateTime<Utc>) -> Advance<'a> {
    Advance { to: To::Finished { response, retention: RETENTION }, ..first(&[], at) }
}

pub(super) fn response(body: &[u8]) -> StoredResponse {
    StoredResponse { code: 201, headers: br#"[["x-order","7"]]"#.to_vec(), body: body.to_vec() }
}

pub(super) fn job(kind: &str) -> StagedJob {
    StagedJob { message_id: Uuid::now_v7(), kind: kind.to_owned(), payload: br#"{"order_id":7}"#.to_vec() }
}

/// The row of a key that must have one.
pub(super) async fn row(store: &impl Store, new: &NewKey) -> Record {
    found(store, &key_of(new)).await
}

pub(super) async fn found(store: &impl Store, key: &Key) -> Record {
    store.find(key).await.expect("find").expect("the key has a row")
}

/// Everything that a store shows of a key, but for the lease's rest, which shrinks by itself. Two pictures are equal
/// if nobody has touched the row.
pub(super) async fn picture(store: &impl Store, key: &Key) -> String {
    let r = found(store, key).await;
    let leased = !r.lease_left.is_zero();
    let name = (&r.id, &r.scope, &r.value, &r.workflow, r.version, &r.digest);
    let waits = !r.wake_left.is_zero();
    let standing =
        (r.status, &r.recovery_point, r.fence, leased, waits, r.attempts, r.step_attempts, &r.last_error);
    let times = (r.first_attempt_at, r.created_at, r.last_run_at, r.cancel_requested_at, r.finished_at);
    let response = r.response.as_ref().map(|response| (response.code, &response.headers, &response.body));
    let lease = Lease { id: r.id, fence: r.fence };
    let position = store.settle(lease).await.expect("settle");
    let journal = store.journal(&[r.id]).await.expect("journal");
    let failures = store.failures(&[r.id]).await.expect("failures");
    format!("{name:?} {standing:?} {times:?} {response:?} {position:?} {journal:?} {failures:?}")
}

/// That a later time of the database lies behind an earlier one by what the test's clock was moved, more or less.
pub(super) fn assert_apart(earlier: DateTime<Utc>, later: DateTime<Utc>, moved: Duration) {
    let apart = (later - earlier).to_std().expect("time does not go back");
    assert!(
        apart >= moved && apart < moved + SLACK,
        "{apart:?} apart, where the clock was moved by {moved:?}"
    );
}
