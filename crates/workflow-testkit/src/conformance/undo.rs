//! Turning a key round, and taking back what it has reached.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use workflow::seam::{Advance, Beat, Lease, Status, Then, To};
use workflow::{Store, StoreError};

use super::Factory;
use super::fixture::*;

const REFUSED: &str = "capture_payment.refused";
const UNDONE: &str = "create_order.undone";

/// From `order_created` to the point at which it is turned round.
fn round<'a>(at: chrono::DateTime<chrono::Utc>) -> Advance<'a> {
    Advance { to: To::Point { name: REFUSED, data: b"" }, ..second(b"", at) }
}

/// The undo of the first step.
fn undone<'a>(at: chrono::DateTime<chrono::Utc>) -> Advance<'a> {
    let to = To::Point { name: UNDONE, data: b"" };
    Advance { prev: REFUSED, step: "create_order.undo", seq: 3, to, ..first(b"", at) }
}

/// A key that has reached its first point and is turned round.
async fn turned(store: &impl Store, value: &str) -> (workflow::seam::NewKey, Lease) {
    let (new, lease) = planted(store, value).await;
    let at = store.advance(lease, first(b"data", row(store, &new).await.created_at)).await.unwrap();
    store.turn(lease, &[round(at)], Some(&response(b"no"))).await.unwrap();
    (new, lease)
}

async fn undo(store: &impl Store, lease: Lease, walk: &[Advance<'_>]) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let undone = store.undo_in(&mut tx, lease, walk, &[], None).await;
    match undone {
        Ok(_) => store.commit(tx).await,
        Err(error) => {
            store.rollback(tx).await;
            Err(error)
        }
    }
}

pub async fn a_key_that_is_turned_round_is_undoing_and_shows_no_answer<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = turned(&store, "k").await;
    let row = row(&store, &new).await;
    assert_eq!((row.status, &*row.recovery_point, row.fence), (Status::Undoing, REFUSED, 1));
    assert_eq!((row.attempts, row.step_attempts, row.finished_at), (1, 1, None));
    assert!(!row.lease_left.is_zero() && row.response.is_none());
    let points = store.points(new.id).await.unwrap();
    let told: Vec<_> =
        points.iter().map(|point| (point.seq, &*point.name, &*point.step, &*point.data)).collect();
    assert_eq!(told, [(1, CREATED, "create_order", &b"data"[..]), (2, REFUSED, "capture_payment", &b""[..])]);
}

pub async fn to_turn_round_has_the_guards_of_an_advance<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = store.advance(lease, first(b"data", row(&store, &new).await.created_at)).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    let stale = Lease { fence: 2, ..lease };
    let unknown = Lease { id: uuid::Uuid::now_v7(), ..lease };
    let elsewhere = Advance { prev: CAPTURED, ..round(at) };
    for (lease, advance) in [(stale, round(at)), (unknown, round(at)), (lease, elsewhere)] {
        let refused = store.turn(lease, &[advance], Some(&response(b"no"))).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
    }
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    store.turn(lease, &[round(at)], Some(&response(b"no"))).await.unwrap();
    let twice = store.turn(lease, &[round(at)], Some(&response(b"no"))).await;
    assert!(matches!(twice, Err(StoreError::LeaseLost)), "{twice:?}");
}

pub async fn a_key_that_is_undone_does_not_go_forward_and_one_that_runs_not_back<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = turned(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let before = picture(&store, &key_of(&new)).await;
    let forward = Advance { prev: REFUSED, seq: 3, ..second(b"late", at) };
    assert!(matches!(store.advance(lease, forward).await, Err(StoreError::LeaseLost)));
    let mut tx = store.begin().await.unwrap();
    assert!(matches!(store.advance_in(&mut tx, lease, &[forward], &[]).await, Err(StoreError::LeaseLost)));
    store.rollback(tx).await;
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    let (runs, lease) = planted(&store, "runs").await;
    let before = picture(&store, &key_of(&runs)).await;
    let back = Advance { prev: "started", seq: 1, ..undone(at) };
    assert!(matches!(undo(&store, lease, &[back]).await, Err(StoreError::LeaseLost)));
    assert_eq!(picture(&store, &key_of(&runs)).await, before);
}

pub async fn the_last_undo_stores_the_answer<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = turned(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let answer = response(b"no");
    undo(&store, lease, &[undone(at)]).await.unwrap();
    let row_now = row(&store, &new).await;
    assert_eq!((row_now.status, &*row_now.recovery_point), (Status::Undoing, UNDONE));
    assert!(row_now.response.is_none());
    let end = Advance { prev: UNDONE, step: "capture_payment", seq: 4, ..finish(&answer, at) };
    undo(&store, lease, &[end]).await.unwrap();
    let row = row(&store, &new).await;
    assert!(row.status == Status::Finished && row.response == Some(answer));
    assert!(row.lease_left.is_zero());
    let journal = store.journal(&[new.id]).await.unwrap();
    let names: Vec<_> = journal.iter().map(|point| (point.seq, &*point.name)).collect();
    assert_eq!(names, [(1, CREATED), (2, REFUSED), (3, UNDONE), (4, "finished")]);
}

pub async fn undos_and_the_answer_are_committed_together_or_not_at_all<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = turned(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let answer = response(b"no");
    let walk = [undone(at), Advance { prev: UNDONE, step: "capture_payment", seq: 4, ..finish(&answer, at) }];
    let before = picture(&store, &key_of(&new)).await;
    let mut tx = store.begin().await.unwrap();
    store.undo_in(&mut tx, lease, &walk, &[job("undone")], None).await.unwrap();
    store.rollback(tx).await;
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    undo(&store, lease, &walk).await.unwrap();
    assert_eq!(row(&store, &new).await.status, Status::Finished);
    assert_eq!(store.journal(&[new.id]).await.unwrap().len(), 4);
}

pub async fn whoever_takes_a_key_that_is_undone_gets_its_answer_and_goes_on<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, stale) = turned(&store, "k").await;
    assert!(store.take(take_of(&new)).await.unwrap().is_none(), "it is leased");
    assert_eq!(store.heartbeat(&[stale], LEASE).await.unwrap(), [Beat::Renewed]);
    factory.clock(&store).advance(LEASE);
    // Its point is not among those that a build lists.
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.lease.fence, &*taken.recovery_point, taken.seq), (2, REFUSED, 2));
    assert!(taken.answer == Some(response(b"no")));
    assert_eq!(row(&store, &new).await.status, Status::Undoing);
    let at = row(&store, &new).await.created_at;
    assert!(matches!(undo(&store, stale, &[undone(at)]).await, Err(StoreError::LeaseLost)));
    undo(&store, taken.lease, &[undone(at)]).await.unwrap();
}

pub async fn a_key_that_goes_forward_has_no_answer_to_undo_for<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.release(lease, None).await.unwrap();
    assert!(taken(&store, take_of(&new)).await.answer.is_none());
    assert!(store.points(new.id).await.unwrap().is_empty());
}

pub async fn a_key_that_is_undone_waits_parks_and_goes_on_as_what_it_is<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = turned(&store, "k").await;
    let failed = |attempt| workflow::seam::Failure { seq: 3, step: "create_order.undo", ..failure(attempt) };
    store.fail(lease, failed(1), Then::Again(LEASE)).await.unwrap();
    store.fail(lease, failed(2), Then::Later(LEASE)).await.unwrap();
    let waits = row(&store, &new).await;
    assert_eq!((waits.status, waits.step_attempts), (Status::Undoing, 2));
    assert!(!waits.wake_left.is_zero());
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    assert!(store.unpark(&key_of(&new)).await.unwrap(), "before its time");
    let again = taken(&store, take_of(&new)).await;
    assert_eq!((again.step_attempts, again.failures), (3, 2));
    store.fail(again.lease, failed(3), Then::Park).await.unwrap();
    assert_eq!(row(&store, &new).await.status, Status::NeedsAttention);
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    assert!(store.unpark(&key_of(&new)).await.unwrap());
    let on = taken(&store, take_of(&new)).await;
    assert_eq!(row(&store, &new).await.status, Status::Undoing);
    assert!(on.answer == Some(response(b"no")));
}

pub async fn a_settled_row_says_that_it_was_turned_round<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (_, lease) = turned(&store, "k").await;
    let position = store.settle(lease).await.unwrap().unwrap();
    assert_eq!((position.fence, position.status, &*position.recovery_point), (1, Status::Undoing, REFUSED));
}
