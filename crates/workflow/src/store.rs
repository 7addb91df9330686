//! The seam: what a database must do.
//!
//! Statements only; every rule about *when* lives in the runner. Who writes a store runs the conformance suite of
//! `workflow-testkit` over it: what these methods promise is what the suite asks.

use std::future::Future;
use std::ops::DerefMut;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::advance::{Advance, StoredResponse};
use crate::failure::{FailedAttempt, Failure, Then};
use crate::outbox::StagedJob;
use crate::record::{
    Backlog, Beat, Cancel, Census, Filter, Lease, NewKey, PointRow, Position, ReachedPoint, Record, Take,
    Taken,
};
use crate::{BoxError, Key};

/// A database that keeps keys, points and staged jobs.
///
/// Time is the database's clock. A store never selects a row first and then updates it: each write carries its
/// guards in its own `WHERE`. Every method is one commit, but for those that take the transaction. A commit may be
/// shared
/// with other calls ([`Committer`](crate::seam::Committer)).
///
/// # Cancel safety
/// A future of a store may be dropped at any moment: what it began is then either done or not done, and no
/// connection goes back to a pool with an open transaction.
pub trait Store: Clone + Send + Sync + 'static {
    /// The connection that atomic steps write through.
    type Conn: Send + 'static;
    /// A transaction on such a connection. Dropped without a commit, it is rolled back.
    type Tx: DerefMut<Target = Self::Conn> + Send + 'static;

    /// Claims a key that has no row: inserts it with fence 1 and a live lease, its first step's first attempt
    /// recorded. `None` if this scope has a row for this value, which is not touched, or a tombstone of this generation
    /// or of a later one.
    fn insert(&self, new: &NewKey) -> impl Future<Output = Result<Option<DateTime<Utc>>, StoreError>> + Send;

    /// Claims a row by compare-and-set: bumps the fence, takes the lease, counts an attempt of the next step. A row that
    /// waits is claimed when its time has come, and is `running` then; one that is `undoing` stays so, whatever its point. `None` if no row matches, for whatever reason;
    /// none is touched then.
    fn take(&self, take: Take<'_>) -> impl Future<Output = Result<Option<Taken>, StoreError>> + Send;

    /// Which life of a key without a row comes next: 0, or the one after that of its tombstone.
    fn generation(&self, key: &Key) -> impl Future<Output = Result<i32, StoreError>> + Send;

    /// The row of a key.
    fn find(&self, key: &Key) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Begins a transaction in which a step writes.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Moves the key along the points that its steps have reached, the last of them perhaps the response, and writes
    /// the jobs, inside the steps' transaction, after all that the steps wrote. Returns when the next step's first
    /// attempt is recorded. Each advance but the first starts where the one before has ended; there is at least one.
    ///
    /// Fails with [`StoreError::Refused`] if the transaction that was begun is not open any more: the step has ended
    /// it, and what is written now would be a commit of its own.
    ///
    /// Fails with [`StoreError::LeaseLost`] unless exactly this lease, at exactly the first previous point, is
    /// `running` and not cancelled; a lease that ran out and was not taken is still this one. Whatever was reached, the
    /// response included, gets a row of its own in the journal.
    fn advance_in(
        &self,
        tx: &mut Self::Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
    ) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// The same while the key is `undoing`: each advance is of an undo. If the key is given, it leaves a tombstone in
    /// the same commit, of the generation that its row has: what was done outside by that life's effect keys is taken
    /// back, and no later life may use them.
    fn undo_in(
        &self,
        tx: &mut Self::Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        buried: Option<&Key>,
    ) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Turns a running key round, as one commit: it is `undoing` from here, at the last point of this walk, and keeps the
    /// answer that is given when all is undone. The guards are those of [`advance`](Self::advance). Without an answer
    /// it is that of a cancel: then the key must be cancelled, and else it must not.
    fn turn(
        &self,
        lease: Lease,
        walk: &[Advance<'_>],
        answer: Option<&StoredResponse>,
    ) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// The points that a row has reached, in order, with their data.
    fn points(&self, id: uuid::Uuid) -> impl Future<Output = Result<Vec<ReachedPoint>, StoreError>> + Send;

    /// Commits. [`StoreError::InDoubt`] if nobody can say whether it did.
    fn commit(&self, tx: Self::Tx) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Rolls back. Failing to is no harm: the database does it when the connection is gone.
    fn rollback(&self, tx: Self::Tx) -> impl Future<Output = ()> + Send;

    /// The same as [`advance_in`](Self::advance_in) for one step, without a transaction that anybody else writes in:
    /// for foreign steps and final answers.
    fn advance(
        &self,
        lease: Lease,
        advance: Advance<'_>,
    ) -> impl Future<Output = Result<DateTime<Utc>, StoreError>> + Send;

    /// Records a failed attempt of the next step and, in the same commit, what becomes of the key: a further attempt is
    /// counted before it begins. Repeated because its reply was lost, it counts once.
    ///
    /// Fails with [`StoreError::LeaseLost`] unless exactly this lease is out, `running` or `undoing`, and at this
    /// attempt; and if the key is cancelled, unless the run knows it or has turned it round. A key that is `undoing` stays
    /// so while it waits.
    fn fail(
        &self,
        lease: Lease,
        failure: Failure<'_>,
        then: Then,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Cancels a key: keeps the answer, and from here no run takes it forward. One that waits or needs attention is
    /// `running`, without a lease, under a new fence; a lease that is out stays out. Repeated, it keeps the first answer
    /// and lets the key go on again. Whether there was such a key: `running`, `waiting` or `needs_attention`, and not
    /// being undone.
    fn cancel(&self, cancel: Cancel<'_>) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Lets a key go on that waits or needs attention: it is `running` (or `undoing`, if it was), without a lease, under a
    /// new fence. Whether there was such a key.
    fn unpark(&self, key: &Key) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives the lease back, so that anybody may claim the key at once, and keeps why. The claim then does not
    /// count as a crash, however often it is released. A lease that is lost already is left alone.
    fn release(
        &self,
        lease: Lease,
        error: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Where a row stands, read under its lock on a connection of its own: whoever was about to commit has done
    /// so, or never will. `None` if there is no such row.
    fn settle(&self, lease: Lease) -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;

    /// A handle for the heartbeat, with one connection of its own, made on the runtime that calls this.
    fn heart(&self) -> Self;

    /// Extends leases, in one commit. One answer a lease, in the same order: who is locked out just then is missed,
    /// not waited for; a released lease is lost; one that ran out and was not taken is extended.
    fn heartbeat(
        &self,
        leases: &[Lease],
        ttl: Duration,
    ) -> impl Future<Output = Result<Vec<Beat>, StoreError>> + Send;

    /// Forgets at most so many keys, those first that expired first: each with its points, its failed attempts and its
    /// jobs, all in one commit. Only a key that is `finished`, whose `expires_at` has come, and none of whose jobs
    /// waits for delivery; one that another reaper has in hand is passed over, not waited for. Tombstones stay. How
    /// many it were.
    fn reap(&self, limit: u32) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Rows by filter, oldest first.
    fn list(&self, filter: &Filter) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// The points that these rows have reached, by row and number.
    fn journal(&self, ids: &[uuid::Uuid]) -> impl Future<Output = Result<Vec<PointRow>, StoreError>> + Send;

    /// The attempts of these rows that reached nothing, by row, number of the point and attempt.
    fn failures(
        &self,
        ids: &[uuid::Uuid],
    ) -> impl Future<Output = Result<Vec<FailedAttempt>, StoreError>> + Send;

    /// How many unfinished keys stand where.
    fn census(&self) -> impl Future<Output = Result<Vec<Census>, StoreError>> + Send;

    /// What is not done yet, as figures. What is done costs nothing here, however much there is of it.
    fn backlog(&self) -> impl Future<Output = Result<Backlog, StoreError>> + Send;
}

/// What went wrong in a store, by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The guards matched no row: another has claimed, changed or forgotten the key. Nothing was written.
    #[error("the lease is lost: another runner or an operator has taken the key")]
    LeaseLost,
    /// The database cannot be reached or asks to try again. Nothing was written.
    #[error("{doing}: the database is away")]
    Away {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: BoxError,
    },
    /// The connection broke while a commit was under way: it may have happened or may yet happen.
    #[error("{doing}: no answer from the database")]
    InDoubt {
        /// What was being done.
        doing: &'static str,
        /// What the connection said.
        source: BoxError,
    },
    /// The database refused, and will refuse again: a missing table, a broken constraint. Nothing was written.
    #[error("{doing}: the database refused")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: BoxError,
    },
    /// A row holds what no build has written.
    #[error("the row of a key is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::InDoubt { .. })
    }
}
