//! A store in memory, for the tests of workflows: no database, no files, nothing survives the process.
//!
//! It keeps every promise of [`Store`], and the conformance suite runs over it. Like `SQLite` it has one
//! writer at a time, and readers that see what is committed.

mod conn;
mod database;
mod row;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;
use workflow::seam::{
    Advance, Backlog, Beat, Cancel, Census, FailedAttempt, Failure, Filter, Lease, NewKey, PointRow,
    Position, ReachedPoint, Record, Status, StoredResponse, Take, Taken, Then,
};
use workflow::{Clock, Key, StagedJob, Store, StoreError};

pub use conn::{MemoryConn, MemoryTx};
use database::Database;

/// A store in memory. Clones share the database and the clock.
///
/// ```
/// use workflow::{Atomic, RecoveryPoint, Response, Runner, Step, Workflow};
/// use workflow_testkit::{Memory, MemoryConn};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Cart { cents: i64 }
/// impl RecoveryPoint for Cart { const NAME: &'static str = "started"; }
///
/// async fn book(cx: Atomic<'_, MemoryConn, (), Cart>, cart: Cart) -> Step<Response> {
///     cx.conn.add("booked", cart.cents);
///     Ok(Response::empty(204))
/// }
/// fn checkout() -> Workflow<MemoryConn, (), Cart> {
///     Workflow::new("checkout").atomic("book", book).build()
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = Memory::new();
/// let runner = Runner::builder(memory.clone(), ()).with(checkout).build()?;
/// let key = workflow::Key::new("tenant-7", "8e03978e")?;
/// for _ in 0..2 {
///     assert_eq!(runner.run(checkout, key.clone(), Cart { cents: 500 }).await?.status(), 204);
/// }
/// assert_eq!(memory.get("booked"), Some(500.into()));
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Memory {
    shared: Arc<Shared>,
    clock: Clock,
}

#[derive(Default)]
struct Shared {
    /// Held by a transaction from begin to end, and by each single write.
    writer: Arc<tokio::sync::Mutex<()>>,
    /// Locked only for a moment, never across an await.
    committed: Mutex<Database>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same database by another clock, which a test moves.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The clock. Move it to let a lease run out at once.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// A value that steps have written and committed.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.committed().pad.get(name).cloned()
    }

    /// The staged jobs that are committed, in the order of their commits, the delivered ones included.
    pub fn jobs(&self) -> Vec<StagedJob> {
        self.committed().jobs.iter().map(|job| job.job.clone()).collect()
    }

    /// Marks a staged job as delivered. Whether there was such a job that was not. A key is reaped only when its jobs
    /// are delivered; then they go with it.
    ///
    /// # Cancel safety
    /// Dropped, it has marked the job or not.
    pub async fn deliver(&self, message_id: Uuid) -> bool {
        self.write(|database, _| database.deliver(message_id)).await
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::microseconds(self.clock.offset_micros())
    }

    fn committed(&self) -> MutexGuard<'_, Database> {
        self.shared.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One statement, as a commit of its own.
    async fn write<T>(&self, statement: impl FnOnce(&mut Database, DateTime<Utc>) -> T) -> T {
        let _writer = self.shared.writer.lock().await;
        let now = self.now();
        statement(&mut self.committed(), now)
    }
}

impl Store for Memory {
    type Conn = MemoryConn;
    type Tx = MemoryTx;

    async fn insert(&self, new: &NewKey) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.write(|database, now| database.insert(new, now)).await
    }

    async fn take(&self, take: Take<'_>) -> Result<Option<Taken>, StoreError> {
        Ok(self.write(|database, now| database.take(take, now)).await)
    }

    async fn generation(&self, key: &Key) -> Result<i32, StoreError> {
        Ok(self.committed().generation(key))
    }

    async fn find(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.committed().find(key, self.now()))
    }

    async fn begin(&self) -> Result<MemoryTx, StoreError> {
        let writer = self.shared.writer.clone().lock_owned().await;
        Ok(MemoryTx { conn: MemoryConn { database: self.committed().clone() }, _writer: writer })
    }

    async fn advance_in(
        &self,
        tx: &mut MemoryTx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
    ) -> Result<DateTime<Utc>, StoreError> {
        let at = tx.conn.database.walk(lease, walk, Status::Running, self.now())?;
        tx.conn.database.stage(lease, jobs);
        Ok(at)
    }

    async fn undo_in(
        &self,
        tx: &mut MemoryTx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        buried: Option<&Key>,
    ) -> Result<DateTime<Utc>, StoreError> {
        let at = tx.conn.database.walk(lease, walk, Status::Undoing, self.now())?;
        tx.conn.database.stage(lease, jobs);
        if let Some(key) = buried {
            tx.conn.database.bury(lease, key);
        }
        Ok(at)
    }

    async fn turn(
        &self,
        lease: Lease,
        walk: &[Advance<'_>],
        answer: Option<&StoredResponse>,
    ) -> Result<DateTime<Utc>, StoreError> {
        self.write(|database, now| database.turn(lease, walk, answer, now)).await
    }

    async fn points(&self, id: Uuid) -> Result<Vec<ReachedPoint>, StoreError> {
        Ok(self.committed().points(id))
    }

    async fn commit(&self, tx: MemoryTx) -> Result<(), StoreError> {
        *self.committed() = tx.conn.database;
        Ok(())
    }

    async fn rollback(&self, tx: MemoryTx) {
        drop(tx);
    }

    async fn advance(&self, lease: Lease, advance: Advance<'_>) -> Result<DateTime<Utc>, StoreError> {
        self.write(|database, now| database.walk(lease, &[advance], Status::Running, now)).await
    }

    async fn fail(&self, lease: Lease, failure: Failure<'_>, then: Then) -> Result<(), StoreError> {
        self.write(|database, now| database.fail(lease, failure, then, now)).await
    }

    async fn cancel(&self, cancel: Cancel<'_>) -> Result<bool, StoreError> {
        Ok(self.write(|database, now| database.cancel(cancel, now)).await)
    }

    async fn unpark(&self, key: &Key) -> Result<bool, StoreError> {
        Ok(self.write(|database, _| database.unpark(key)).await)
    }

    async fn release(&self, lease: Lease, error: Option<&str>) -> Result<(), StoreError> {
        self.write(|database, _| database.release(lease, error)).await;
        Ok(())
    }

    async fn settle(&self, lease: Lease) -> Result<Option<Position>, StoreError> {
        Ok(self.write(|database, _| database.settle(lease.id)).await)
    }

    fn heart(&self) -> Self {
        self.clone()
    }

    async fn heartbeat(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Beat>, StoreError> {
        // A transaction locks every row here.
        let Ok(_writer) = self.shared.writer.try_lock() else { return Ok(vec![Beat::Missed; leases.len()]) };
        let now = self.now();
        Ok(self.committed().heartbeat(leases, ttl, now))
    }

    async fn reap(&self, limit: u32) -> Result<u32, StoreError> {
        Ok(self.write(|database, now| database.reap(limit, now)).await)
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        Ok(self.committed().list(filter, self.now()))
    }

    async fn journal(&self, ids: &[Uuid]) -> Result<Vec<PointRow>, StoreError> {
        Ok(self.committed().journal(ids))
    }

    async fn failures(&self, ids: &[Uuid]) -> Result<Vec<FailedAttempt>, StoreError> {
        Ok(self.committed().failures(ids))
    }

    async fn census(&self) -> Result<Vec<Census>, StoreError> {
        Ok(self.committed().census())
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        Ok(self.committed().backlog(self.now()))
    }
}
