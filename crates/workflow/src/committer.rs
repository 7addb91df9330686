//! Group commit: whatever waits while one batch is written is the next batch.
//!
//! # States
//! Who finds nothing under way writes **alone**, at once, in the task that asked for it. What comes meanwhile is
//! **waiting** in the queue, then **in a batch**, then **answered**. Batches are written by a leader, a task that the
//! first waiting write starts and that ends when the queue is empty. It waits neither for a timer nor for who writes
//! alone, on another connection; between two batches it lets those run that were answered. Batches are written one
//! after the other, each in the order of its keys, so that two processes never wait for each other's rows in a circle.
//!
//! # What if
//! - *a row fails its guard*: the database says so for that row alone. The others are committed.
//! - *the batch fails and nothing was written* (a row that the database refuses, a row that another holds locked, a
//!   database that is away): each write is tried again alone, beside the next batches, and gets its own answer.
//! - *nobody knows whether the batch was written* (the connection broke, or was silent for too long): each write is
//!   answered [`StoreError::InDoubt`], and whoever wrote it settles that, row by row.
//! - *who wrote gives up*: a write that waits is dropped from the queue unwritten; one in a batch is written, or not,
//!   and its answer goes nowhere.
//! - *the leader dies* (a panic, a runtime that shuts down): every write that it had, or that waited for it, is in
//!   doubt; the next write starts a new leader.
//! - *more write than the database takes*: [`ROOM`] writes are waiting or in a batch, and the others wait for room.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::StoreError;
use crate::observer::Guarded;

/// How many writes may be waiting or in a batch.
pub const ROOM: usize = 1024;

/// How many writes one batch has at the most: the first must not wait for too many others.
pub const LARGEST_BATCH: usize = 256;

/// How many bytes one batch has at the most, if its [`Batch`] says nothing else.
pub const LARGEST_BYTES: usize = 1024 * 1024;

/// How long a batch may take. Without it, a wire that died in silence would hold up every run of the process.
const LIMIT: Duration = Duration::from_secs(5);

/// How a database writes a batch.
pub trait Batch: Send + Sync + 'static {
    /// A write, by value: it outlives who asked for it.
    type Write: Send + Sync + 'static;
    /// What it is answered with.
    type Answer: Send + 'static;

    /// By which key the writes of a batch are put in order.
    fn order(a: &Self::Write, b: &Self::Write) -> Ordering;

    /// How many bytes it takes on the wire, about. 0 if there is no wire.
    fn bytes(write: &Self::Write) -> usize;

    /// How many bytes a batch has at the most, but for a single write that is larger.
    fn largest_bytes(&self) -> usize {
        LARGEST_BYTES
    }

    /// Writes all in one commit; an answer each, in the same order. A write whose guards match no row is answered so,
    /// and does not keep the others from being committed. Never empty; a single one is written by the plainest
    /// statement.
    ///
    /// # Errors
    /// [`StoreError::InDoubt`] if nobody knows whether it was committed. After any other, nothing was written.
    ///
    /// # Cancel safety
    /// As for every method of a [`Store`](crate::Store): it is dropped after five seconds.
    fn together(
        &self,
        writes: &[Self::Write],
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, StoreError>> + Send;

    /// Writes one in a commit of its own, on another connection than [`together`](Self::together).
    ///
    /// # Errors
    /// Those of the store's method.
    fn alone(&self, write: &Self::Write) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// Who is told how many writes each commit carries: nobody, by default.
///
/// It is called inline and must not block. If it panics, that is caught and logged once.
#[derive(Clone, Default)]
pub struct OnCommit(Option<Arc<Guarded<Tell>>>);

type Tell = dyn Fn(usize) + Send + Sync;

impl OnCommit {
    /// This function is told.
    pub fn new(tell: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Guarded::new(tell))))
    }

    /// A commit has carried these, but for those of which the database was too far away to hear.
    fn carried<'a, T: 'a>(&self, answers: impl IntoIterator<Item = &'a Result<T, StoreError>>) {
        let Some(told) = &self.0 else { return };
        let away = |answer: &Result<T, StoreError>| answer.as_ref().is_err_and(StoreError::is_transient);
        let writes = answers.into_iter().filter(|answer| !away(answer)).count();
        if writes > 0 {
            told.tell(|tell| tell(writes));
        }
    }
}

impl std::fmt::Debug for OnCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OnCommit").field(&self.0.is_some()).finish()
    }
}

/// Writes of many runs, each batch in one commit. Cheap to clone; clones share the queue.
pub struct Committer<B: Batch>(Arc<Shared<B>>);

struct Shared<B: Batch> {
    batch: B,
    on_commit: OnCommit,
    queue: Mutex<Queue<B>>,
    room: Arc<Semaphore>,
}

struct Queue<B: Batch> {
    waiting: VecDeque<Waiting<B>>,
    /// A leader writes batches.
    led: bool,
    /// Somebody writes by itself.
    alone: bool,
}

impl<B: Batch> Queue<B> {
    /// How many of those that wait fit into one batch.
    fn fits(&self, largest_bytes: usize) -> usize {
        let mut bytes = 0;
        let fits = self.waiting.iter().take(LARGEST_BATCH).take_while(|waiting| {
            bytes += B::bytes(&waiting.write);
            bytes <= largest_bytes
        });
        fits.count().max(1).min(self.waiting.len())
    }
}

struct Waiting<B: Batch> {
    write: B::Write,
    answer: Answer<B>,
}

/// To whom the answer goes, and the room that is free again after it.
struct Answer<B: Batch> {
    to: oneshot::Sender<Result<B::Answer, StoreError>>,
    _room: OwnedSemaphorePermit,
}

impl<B: Batch> Clone for Committer<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Batch> std::fmt::Debug for Committer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer").field("waiting", &self.0.queue().waiting.len()).finish_non_exhaustive()
    }
}

impl<B: Batch> Committer<B> {
    /// An idle committer.
    pub fn new(batch: B) -> Self {
        Self::telling(batch, OnCommit::default())
    }

    /// An idle committer that tells of its commits.
    pub fn telling(batch: B, on_commit: OnCommit) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), led: false, alone: false });
        Self(Arc::new(Shared { batch, on_commit, queue, room: Arc::new(Semaphore::new(ROOM)) }))
    }

    /// Writes it with whatever else is waiting. Returns after the commit.
    ///
    /// # Errors
    /// Those of the store's method; [`StoreError::InDoubt`] also if the runtime that wrote it has shut down.
    ///
    /// # Cancel safety
    /// Dropped, the write is done or not done: it is not done if it was still waiting.
    pub async fn write(&self, write: B::Write) -> Result<B::Answer, StoreError> {
        if let Some(alone) = self.0.alone() {
            // Boxed: whoever awaits this would carry the room for it through every move of its own future.
            return Box::pin(alone.write(write)).await;
        }
        let Ok(room) = self.0.room.clone().acquire_owned().await else { return Err(died()) };
        let (to, answer) = oneshot::channel();
        if self.0.enqueue(Waiting { write, answer: Answer { to, _room: room } }) {
            tokio::spawn(lead(Leader { shared: self.0.clone(), leads: true }));
        }
        answer.await.unwrap_or_else(|_| Err(died()))
    }
}

impl<B: Batch> Shared<B> {
    fn queue(&self) -> MutexGuard<'_, Queue<B>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever finds nothing under way writes by itself.
    fn alone(self: &Arc<Self>) -> Option<Alone<B>> {
        let mut queue = self.queue();
        let free = !queue.led && !queue.alone;
        queue.alone |= free;
        free.then(|| Alone(self.clone()))
    }

    /// Whether there is no leader yet.
    fn enqueue(&self, waiting: Waiting<B>) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(waiting);
        !std::mem::replace(&mut queue.led, true)
    }

    /// What waits, in the order of its keys; `None` ends the leader.
    fn next_batch(&self) -> Option<Vec<Waiting<B>>> {
        let mut queue = self.queue();
        let fits = queue.fits(self.batch.largest_bytes());
        let mut batch: Vec<_> = queue.waiting.drain(..fits).collect();
        if batch.is_empty() {
            queue.led = false;
            return None;
        }
        drop(queue);
        batch.retain(|waiting| !waiting.answer.to.is_closed());
        batch.sort_by(|a, b| B::order(&a.write, &b.write));
        Some(batch)
    }
}

/// Who writes by itself, in the task that asked for it. Nobody waits for it: it may be dropped, or never polled again.
struct Alone<B: Batch>(Arc<Shared<B>>);

impl<B: Batch> Drop for Alone<B> {
    fn drop(&mut self) {
        self.0.queue().alone = false;
    }
}

impl<B: Batch> Alone<B> {
    async fn write(self, write: B::Write) -> Result<B::Answer, StoreError> {
        let writes = [write];
        match together(&self.0, &writes).await {
            Ok(mut answers) => answers.pop().unwrap_or_else(|| Err(died())),
            Err(error) if is_final(&error) => Err(error),
            Err(_) => apart(&self.0, &writes[0]).await,
        }
    }
}

/// Whether a single write that failed so is not tried again elsewhere.
fn is_final(error: &StoreError) -> bool {
    !error.is_transient() || matches!(error, StoreError::InDoubt { .. })
}

/// Who leads. Dropped in the middle, it leaves nobody waiting for a leader that is gone.
struct Leader<B: Batch> {
    shared: Arc<Shared<B>>,
    leads: bool,
}

impl<B: Batch> Drop for Leader<B> {
    fn drop(&mut self) {
        // Once the queue was left without a leader, under its lock, it may have another one.
        if self.leads {
            let mut queue = self.shared.queue();
            queue.led = false;
            queue.waiting.clear();
        }
    }
}

async fn lead<B: Batch>(mut leader: Leader<B>) {
    while let Some(batch) = leader.shared.next_batch() {
        if !batch.is_empty() {
            commit(&leader.shared, batch).await;
            // Whom it has answered runs first, and what they write next is in the next batch already.
            tokio::task::yield_now().await;
        }
    }
    leader.leads = false;
}

async fn together<B: Batch>(
    shared: &Shared<B>,
    writes: &[B::Write],
) -> Result<Vec<Result<B::Answer, StoreError>>, StoreError> {
    let answers =
        tokio::time::timeout(LIMIT, shared.batch.together(writes)).await.unwrap_or_else(|elapsed| {
            Err(StoreError::InDoubt { doing: "waiting for a group commit", source: elapsed.into() })
        });
    shared.on_commit.carried(answers.iter().flatten());
    answers
}

async fn apart<B: Batch>(shared: &Shared<B>, write: &B::Write) -> Result<B::Answer, StoreError> {
    let answer = shared.batch.alone(write).await;
    shared.on_commit.carried([&answer]);
    answer
}

async fn commit<B: Batch>(shared: &Arc<Shared<B>>, batch: Vec<Waiting<B>>) {
    let (writes, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.write, w.answer)).unzip();
    match together(shared, &writes).await {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.to.send(result);
            }
        }
        Err(StoreError::InDoubt { doing, source }) => {
            let source: Arc<dyn std::error::Error + Send + Sync> = source.into();
            for answer in answers {
                let source = Box::new(SharedError(source.clone()));
                let _ = answer.to.send(Err(StoreError::InDoubt { doing, source }));
            }
        }
        Err(error) => row_by_row(shared, writes, answers, error),
    }
}

/// Each by itself and all at once: a row that is locked holds up nobody else.
fn row_by_row<B: Batch>(
    shared: &Arc<Shared<B>>,
    writes: Vec<B::Write>,
    mut answers: Vec<Answer<B>>,
    error: StoreError,
) {
    if answers.len() == 1 && is_final(&error) {
        let _ = answers.remove(0).to.send(Err(error));
        return;
    }
    tracing::debug!(
        error = &error as &dyn std::error::Error,
        writes = writes.len(),
        "a batch failed: row by row"
    );
    for (write, answer) in writes.into_iter().zip(answers) {
        let shared = shared.clone();
        tokio::spawn(async move {
            // With its room, which the task would not have otherwise.
            let mut answer = answer;
            tokio::select! {
                biased;
                () = answer.to.closed() => {}
                result = apart(&shared, &write) => { let _ = answer.to.send(result); }
            }
        });
    }
}

fn died() -> StoreError {
    StoreError::InDoubt { doing: "waiting for a group commit", source: "its task has ended".into() }
}

/// One error, told to each write of a batch.
#[derive(Debug, Clone)]
struct SharedError(Arc<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
