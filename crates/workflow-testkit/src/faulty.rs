//! A store that fails where a test wants it to.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;
use workflow::seam::{
    Advance, Backlog, Beat, Cancel, Census, FailedAttempt, Failure, Filter, Lease, NewKey, PointRow,
    Position, ReachedPoint, Record, StoredResponse, Take, Taken, Then,
};
use workflow::{Key, StagedJob, Store, StoreError};

/// One fault of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// At which call of the store, counted from 1.
    pub at: usize,
    /// What happens there.
    pub how: How,
}

/// How a call of the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// The call is not made: [`StoreError::Away`].
    Before,
    /// The call is made, but its reply is lost: [`StoreError::InDoubt`].
    After,
    /// The call is not made and never returns: the process died before it. See [`Faulty::abandoned`].
    AbandonBefore,
    /// The call is made and never returns: the process died after it. See [`Faulty::abandoned`].
    AbandonAfter,
    /// The call waits until [`Faulty::let_go`], and is made then: the process was frozen. See [`Faulty::held`].
    Hold,
}

/// A store that does what the other one does, except where the plan says otherwise.
///
/// It has the other store's connection, so that a workflow runs on it as it is. All calls but those of the heartbeat
/// are counted; clones share the plan and the count. `rollback` has no error to return: it is called or not.
///
/// ```
/// use workflow::{Key, Store, StoreError};
/// use workflow_testkit::{Fault, Faulty, How, Memory};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Faulty::new(Memory::new(), [Fault { at: 2, how: How::Before }]);
/// let key = Key::new("tenant-7", "8e03978e")?;
/// assert!(store.find(&key).await?.is_none());
/// assert!(matches!(store.find(&key).await, Err(StoreError::Away { .. })));
/// assert!(store.find(&key).await?.is_none());
/// assert_eq!((store.calls(), store.fired()), (vec!["find"; 3], 1));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Faulty<S> {
    store: S,
    shared: Arc<Shared>,
}

struct Shared {
    plan: Vec<Fault>,
    log: Mutex<Log>,
    abandoned: Notify,
    held: Semaphore,
    free: Semaphore,
}

#[derive(Default)]
struct Log {
    calls: Vec<&'static str>,
    fired: usize,
}

impl<S: Store> Faulty<S> {
    /// The same plan and count over another handle: what the next process opens, where this one has died with its
    /// connections.
    #[must_use]
    pub fn over(&self, store: S) -> Self {
        Self { store, shared: self.shared.clone() }
    }

    /// The store with this plan. Of two faults at one call the first counts.
    pub fn new(store: S, plan: impl IntoIterator<Item = Fault>) -> Self {
        let shared = Shared {
            plan: plan.into_iter().collect(),
            log: Mutex::default(),
            abandoned: Notify::new(),
            held: Semaphore::new(0),
            free: Semaphore::new(0),
        };
        Self { store, shared: Arc::new(shared) }
    }

    /// The store that does the work.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// The names of the calls so far, the failed ones included.
    pub fn calls(&self) -> Vec<&'static str> {
        self.log().calls.clone()
    }

    /// How many faults have happened.
    pub fn fired(&self) -> usize {
        self.log().fired
    }

    /// Returns when a call was abandoned. Wait for it outside the runtime of the run, then drop that runtime: that
    /// is how the process dies at this call.
    pub async fn abandoned(&self) {
        self.shared.abandoned.notified().await;
    }

    /// Returns when a call is held.
    pub async fn held(&self) {
        passed(&self.shared.held).await;
    }

    /// Lets one held call go on.
    pub fn let_go(&self) {
        self.shared.free.add_permits(1);
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what happens to it.
    fn counted(&self, name: &'static str) -> Option<How> {
        let mut log = self.log();
        log.calls.push(name);
        let fault = self.shared.plan.iter().find(|fault| fault.at == log.calls.len())?;
        log.fired += 1;
        Some(fault.how)
    }

    async fn call<T, F, Fut>(&self, name: &'static str, call: F) -> Result<T, StoreError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        match self.counted(name) {
            None => call().await,
            Some(How::Before) => Err(StoreError::Away { doing: name, source: "a planned fault".into() }),
            Some(How::After) => {
                call().await?;
                Err(StoreError::InDoubt { doing: name, source: "a planned fault".into() })
            }
            Some(How::AbandonBefore) => self.abandon(call).await,
            Some(How::AbandonAfter) => self.abandon(call().await).await,
            Some(How::Hold) => {
                self.hold().await;
                call().await
            }
        }
    }

    /// Never returns. What is kept lives as long as the task: a dead process closes its transaction only when it
    /// is gone.
    async fn abandon<T, K>(&self, _kept: K) -> T {
        self.shared.abandoned.notify_one();
        std::future::pending().await
    }

    async fn hold(&self) {
        self.shared.held.add_permits(1);
        passed(&self.shared.free).await;
    }
}

async fn passed(gate: &Semaphore) {
    // The semaphores are never closed.
    if let Ok(permit) = gate.acquire().await {
        permit.forget();
    }
}

impl<S: Store> Store for Faulty<S> {
    type Conn = S::Conn;
    type Tx = S::Tx;

    async fn insert(&self, new: &NewKey) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.call("insert", || self.store.insert(new)).await
    }

    async fn take(&self, take: Take<'_>) -> Result<Option<Taken>, StoreError> {
        self.call("take", || self.store.take(take)).await
    }

    async fn generation(&self, key: &Key) -> Result<i32, StoreError> {
        self.call("generation", || self.store.generation(key)).await
    }

    async fn find(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.call("find", || self.store.find(key)).await
    }

    async fn begin(&self) -> Result<S::Tx, StoreError> {
        self.call("begin", || self.store.begin()).await
    }

    async fn advance_in(
        &self,
        tx: &mut S::Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
    ) -> Result<DateTime<Utc>, StoreError> {
        self.call("advance_in", || self.store.advance_in(tx, lease, walk, jobs)).await
    }

    async fn undo_in(
        &self,
        tx: &mut S::Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        buried: Option<&Key>,
    ) -> Result<DateTime<Utc>, StoreError> {
        self.call("undo_in", || self.store.undo_in(tx, lease, walk, jobs, buried)).await
    }

    async fn turn(
        &self,
        lease: Lease,
        walk: &[Advance<'_>],
        answer: Option<&StoredResponse>,
    ) -> Result<DateTime<Utc>, StoreError> {
        self.call("turn", || self.store.turn(lease, walk, answer)).await
    }

    async fn points(&self, id: Uuid) -> Result<Vec<ReachedPoint>, StoreError> {
        self.call("points", || self.store.points(id)).await
    }

    async fn commit(&self, tx: S::Tx) -> Result<(), StoreError> {
        self.call("commit", || self.store.commit(tx)).await
    }

    async fn rollback(&self, tx: S::Tx) {
        let rollback = async || {
            self.store.rollback(tx).await;
            Ok(())
        };
        let _ = self.call("rollback", rollback).await;
    }

    async fn advance(&self, lease: Lease, advance: Advance<'_>) -> Result<DateTime<Utc>, StoreError> {
        self.call("advance", || self.store.advance(lease, advance)).await
    }

    async fn fail(&self, lease: Lease, failure: Failure<'_>, then: Then) -> Result<(), StoreError> {
        self.call("fail", || self.store.fail(lease, failure, then)).await
    }

    async fn cancel(&self, cancel: Cancel<'_>) -> Result<bool, StoreError> {
        self.call("cancel", || self.store.cancel(cancel)).await
    }

    async fn unpark(&self, key: &Key) -> Result<bool, StoreError> {
        self.call("unpark", || self.store.unpark(key)).await
    }

    async fn release(&self, lease: Lease, error: Option<&str>) -> Result<(), StoreError> {
        self.call("release", || self.store.release(lease, error)).await
    }

    async fn settle(&self, lease: Lease) -> Result<Option<Position>, StoreError> {
        self.call("settle", || self.store.settle(lease)).await
    }

    fn heart(&self) -> Self {
        Self { store: self.store.heart(), shared: self.shared.clone() }
    }

    async fn heartbeat(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Beat>, StoreError> {
        self.store.heartbeat(leases, ttl).await
    }

    async fn reap(&self, limit: u32) -> Result<u32, StoreError> {
        self.call("reap", || self.store.reap(limit)).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        self.call("list", || self.store.list(filter)).await
    }

    async fn journal(&self, ids: &[Uuid]) -> Result<Vec<PointRow>, StoreError> {
        self.call("journal", || self.store.journal(ids)).await
    }

    async fn failures(&self, ids: &[Uuid]) -> Result<Vec<FailedAttempt>, StoreError> {
        self.call("failures", || self.store.failures(ids)).await
    }

    async fn census(&self) -> Result<Vec<Census>, StoreError> {
        self.call("census", || self.store.census()).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.call("backlog", || self.store.backlog()).await
    }
}
