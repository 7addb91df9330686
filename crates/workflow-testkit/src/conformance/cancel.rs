//! A cancel from outside: the key goes no further forward.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use workflow::seam::{Advance, Beat, Cancel, Failure, Lease, NewKey, Status, StoredResponse, Then, To};
use workflow::{STARTED, Store, StoreError};

use super::Factory;
use super::fixture::*;

const CANCELLED: &str = "create_order.cancelled";
const ROUNDS: usize = 50;

fn answer() -> StoredResponse {
    StoredResponse { code: 409, ..response(b"cancelled") }
}

fn cancel_of<'a>(new: &'a NewKey, answer: &'a StoredResponse) -> Cancel<'a> {
    let (scope, value, workflow) = (&*new.scope, &*new.value, &*new.workflow);
    Cancel { scope, value, workflow, points: POINTS, answer }
}

async fn cancel(store: &impl Store, new: &NewKey) -> bool {
    store.cancel(cancel_of(new, &answer())).await.unwrap()
}

/// To the point at which a key is turned round, from where it stands.
fn round<'a>(prev: &'a str, seq: i32, at: chrono::DateTime<chrono::Utc>) -> Advance<'a> {
    Advance { prev, seq, to: To::Point { name: CANCELLED, data: b"" }, ..first(b"", at) }
}

/// A key that is leased and cancelled at `started`.
async fn cancelled(store: &impl Store, value: &str) -> (NewKey, Lease, chrono::DateTime<chrono::Utc>) {
    let (new, lease) = planted(store, value).await;
    assert!(cancel(store, &new).await);
    let at = row(store, &new).await.created_at;
    (new, lease, at)
}

fn refused<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::LeaseLost))
}

pub async fn a_cancelled_key_goes_no_further_forward<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease, at) = cancelled(&store, "k").await;
    let before = picture(&store, &key_of(&new)).await;
    assert!(refused(&store.advance(lease, first(b"data", at)).await));
    assert!(refused(&store.advance(lease, finish(&response(b"done"), at)).await));
    for walk in [first(b"data", at), finish(&response(b"done"), at)] {
        let mut tx = store.begin().await.unwrap();
        assert!(refused(&store.advance_in(&mut tx, lease, &[walk], &[]).await));
        store.rollback(tx).await;
    }
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_cancel_keeps_the_lease_that_is_out_and_shows_no_answer<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    assert!(row(&store, &new).await.cancel_requested_at.is_none());
    assert!(cancel(&store, &new).await);
    let row = row(&store, &new).await;
    assert_eq!((row.status, &*row.recovery_point, row.fence), (Status::Running, STARTED, 1));
    assert_eq!((row.attempts, row.step_attempts), (1, 1));
    assert!(!row.lease_left.is_zero() && row.response.is_none() && row.finished_at.is_none());
    assert_apart(row.created_at, row.cancel_requested_at.unwrap(), std::time::Duration::ZERO);
    assert!(store.take(take_of(&new)).await.unwrap().is_none(), "it is leased");
}

pub async fn a_heartbeat_of_a_cancelled_key_says_so_until_it_is_turned_round<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease, at) = cancelled(&store, "k").await;
    let (_, other) = planted(&store, "other").await;
    factory.clock(&store).advance(LEASE - SLACK);
    assert_eq!(store.heartbeat(&[other, lease], LEASE).await.unwrap(), [Beat::Renewed, Beat::Cancelled]);
    factory.clock(&store).advance(LEASE - SLACK);
    assert!(store.take(take_of(&new)).await.unwrap().is_none(), "it was extended");
    store.turn(lease, &[round(STARTED, 1, at)], None).await.unwrap();
    assert_eq!(store.heartbeat(&[lease], LEASE).await.unwrap(), [Beat::Renewed]);
}

pub async fn a_cancelled_key_is_turned_round_with_what_was_reached<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease, at) = cancelled(&store, "k").await;
    store.turn(lease, &[first(b"data", at), round(CREATED, 2, at)], None).await.unwrap();
    let standing = row(&store, &new).await;
    assert_eq!((standing.status, &*standing.recovery_point), (Status::Undoing, CANCELLED));
    let points = store.points(new.id).await.unwrap();
    let told: Vec<_> = points.iter().map(|point| (point.seq, &*point.name, &*point.data)).collect();
    assert_eq!(told, [(1, CREATED, &b"data"[..]), (2, CANCELLED, &b""[..])]);
    store.release(lease, None).await.unwrap();
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((&*taken.recovery_point, taken.seq, taken.answer), (CANCELLED, 2, Some(answer())));
}

pub async fn a_cancelled_key_ends_with_the_answer_of_the_cancel<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease, at) = cancelled(&store, "k").await;
    store.turn(lease, &[round(STARTED, 1, at)], None).await.unwrap();
    let answer = answer();
    let end = Advance { prev: CANCELLED, seq: 2, ..finish(&answer, at) };
    let mut tx = store.begin().await.unwrap();
    store.undo_in(&mut tx, lease, &[end], &[], None).await.unwrap();
    store.commit(tx).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!((row.status, row.response), (Status::Finished, Some(answer)));
    assert!(row.cancel_requested_at.is_some(), "who looks sees that it was cancelled");
    assert!(!cancel(&store, &new).await);
}

pub async fn to_turn_a_key_round_without_an_answer_it_must_be_cancelled<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let before = picture(&store, &key_of(&new)).await;
    assert!(refused(&store.turn(lease, &[round(STARTED, 1, at)], None).await));
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    assert!(cancel(&store, &new).await);
    let before = picture(&store, &key_of(&new)).await;
    let refusal = response(b"no");
    assert!(refused(&store.turn(lease, &[round(STARTED, 1, at)], Some(&refusal)).await));
    assert!(refused(&store.turn(Lease { fence: 2, ..lease }, &[round(STARTED, 1, at)], None).await));
    assert!(refused(&store.turn(lease, &[round(CREATED, 2, at)], None).await));
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    store.turn(lease, &[round(STARTED, 1, at)], None).await.unwrap();
    assert!(refused(&store.turn(lease, &[round(STARTED, 1, at)], None).await));
}

pub async fn only_a_key_at_a_listed_point_of_this_workflow_is_cancelled<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.advance(lease, first(b"data", row(&store, &new).await.created_at)).await.unwrap();
    let (before, answer) = (picture(&store, &key_of(&new)).await, answer());
    let right = cancel_of(&new, &answer);
    for wrong in [
        Cancel { points: &[STARTED, CAPTURED], ..right },
        Cancel { points: &[], ..right },
        Cancel { workflow: "refund", ..right },
        Cancel { scope: "another", ..right },
        Cancel { value: "another", ..right },
    ] {
        assert!(!store.cancel(wrong).await.unwrap());
    }
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    assert!(store.cancel(Cancel { points: &[CREATED], ..right }).await.unwrap());
}

pub async fn what_is_finished_or_undone_is_not_cancelled<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let answer = answer();
    let everywhere: &[&str] = &[STARTED, CREATED, CAPTURED, CANCELLED, "finished"];
    let (finished, lease) = planted(&store, "finished").await;
    let at = row(&store, &finished).await.created_at;
    store.advance(lease, finish(&response(b"done"), at)).await.unwrap();
    let (undone, lease) = planted(&store, "undone").await;
    store.turn(lease, &[round(STARTED, 1, at)], Some(&response(b"no"))).await.unwrap();
    for new in [&finished, &undone] {
        let before = picture(&store, &key_of(new)).await;
        assert!(!store.cancel(Cancel { points: everywhere, ..cancel_of(new, &answer) }).await.unwrap());
        assert_eq!(picture(&store, &key_of(new)).await, before);
    }
}

pub async fn a_key_that_waits_or_is_parked_goes_on_when_it_is_cancelled<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    for (value, then) in [("waits", Then::Later(LEASE)), ("parked", Then::Park)] {
        let (new, stale) = planted(&store, value).await;
        store.fail(stale, failure(1), then).await.unwrap();
        assert!(cancel(&store, &new).await, "{value}");
        let row = row(&store, &new).await;
        assert_eq!((row.status, row.fence), (Status::Running, 2), "{value}");
        assert!(row.wake_left.is_zero() && row.lease_left.is_zero(), "{value}");
        let taken = taken(&store, take_of(&new)).await;
        assert_eq!((taken.lease.fence, taken.step_attempts, taken.failures), (3, 2, 1), "{value}");
        assert_eq!(taken.answer, Some(answer()), "{value}");
    }
}

pub async fn a_second_cancel_keeps_the_first_answer_and_lets_the_key_go_on_again<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease, _) = cancelled(&store, "k").await;
    let before = row(&store, &new).await.cancel_requested_at;
    let known = Failure { cancelled: true, ..failure(1) };
    store.fail(lease, known, Then::Later(LEASE)).await.unwrap();
    let other = response(b"another");
    assert!(store.cancel(cancel_of(&new, &other)).await.unwrap());
    assert_eq!(row(&store, &new).await.cancel_requested_at, before);
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.lease.fence, taken.answer), (3, Some(answer())));
}

pub async fn a_failure_of_a_cancelled_key_is_recorded_only_by_who_knows<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease, _) = cancelled(&store, "k").await;
    let before = picture(&store, &key_of(&new)).await;
    for then in [Then::Again(LEASE), Then::Stay, Then::Free, Then::Later(LEASE), Then::Park] {
        assert!(refused(&store.fail(lease, failure(1), then).await), "{then:?}");
    }
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    let known = Failure { cancelled: true, ..failure(1) };
    store.fail(lease, known, Then::Again(LEASE)).await.unwrap();
    store.fail(lease, Failure { attempt: 2, ..known }, Then::Park).await.unwrap();
    assert_eq!(row(&store, &new).await.status, Status::NeedsAttention);
    // It is not being undone yet.
    assert!(store.unpark(&key_of(&new)).await.unwrap());
    assert_eq!(row(&store, &new).await.status, Status::Running);
    assert_eq!(taken(&store, take_of(&new)).await.answer, Some(answer()));
}

pub async fn a_failure_of_an_undo_is_recorded_as_ever<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease, at) = cancelled(&store, "k").await;
    store.turn(lease, &[round(STARTED, 1, at)], None).await.unwrap();
    store.fail(lease, Failure { seq: 2, ..failure(1) }, Then::Later(LEASE)).await.unwrap();
    assert!(!row(&store, &new).await.wake_left.is_zero());
}

pub async fn a_settled_row_tells_the_answer_of_a_cancel<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    assert_eq!(store.settle(lease).await.unwrap().unwrap().answer, None);
    assert!(cancel(&store, &new).await);
    let found = store.settle(lease).await.unwrap().unwrap();
    assert_eq!((found.fence, found.status, &*found.recovery_point), (1, Status::Running, STARTED));
    assert_eq!(found.answer, Some(answer()));
}

pub async fn whoever_takes_a_cancelled_key_gets_its_answer_and_the_last_points_data<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.advance(lease, first(b"data", row(&store, &new).await.created_at)).await.unwrap();
    assert!(cancel(&store, &new).await);
    store.release(lease, None).await.unwrap();
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((&*taken.recovery_point, taken.data.as_deref()), (CREATED, Some(&b"data"[..])));
    assert_eq!((taken.answer, taken.step_attempts), (Some(answer()), 2));
}

pub async fn of_a_cancel_and_an_advance_one_wins<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    for round in 0..ROUNDS {
        let (new, lease) = planted(&store, &format!("k{round}")).await;
        let at = row(&store, &new).await.created_at;
        let answer = answer();
        let only_here = Cancel { points: &[STARTED], ..cancel_of(&new, &answer) };
        let advanced = store.advance(lease, first(b"data", at));
        let (advanced, cancelled) = match round % 2 {
            0 => tokio::join!(advanced, other.cancel(only_here)),
            _ => {
                let (cancelled, advanced) = tokio::join!(other.cancel(only_here), advanced);
                (advanced, cancelled)
            }
        };
        assert_eq!(advanced.is_ok(), !cancelled.unwrap(), "{advanced:?}");
        assert!(advanced.is_ok() || refused(&advanced), "{advanced:?}");
        let standing = row(&store, &new).await;
        let point = if advanced.is_ok() { CREATED } else { STARTED };
        assert_eq!(
            (&*standing.recovery_point, standing.cancel_requested_at.is_none()),
            (point, advanced.is_ok())
        );
    }
}
