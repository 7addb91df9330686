//! A desk that takes batches of numbers, and its clerk. A number is answered with its tenfold, if it is written.

use std::cmp::Ordering;
use std::pin::Pin;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use workflow::StoreError;
use workflow::seam::{Batch, Committer, OnCommit};

/// A key of so many thousands is a write of as many bytes.
const LARGE: u32 = 1000;

/// How many bytes a batch of the desk has at the most.
const LARGEST_BYTES: usize = 15 * 1024;

/// What a write comes to.
pub(crate) type Answer = Result<u32, StoreError>;
/// A write under way.
pub(crate) type Write = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Answers = Result<Vec<Answer>, StoreError>;

/// Where the committer hands in its batches.
pub(crate) struct Desk(mpsc::UnboundedSender<Asked>);

/// What the committer asks for.
pub(crate) enum Asked {
    /// A batch.
    Together(Together),
    /// A write of a batch that has failed.
    Alone(Alone),
}

/// A batch under way.
pub(crate) struct Together {
    keys: Vec<u32>,
    to: oneshot::Sender<Option<Answers>>,
}

/// A write under way by itself.
pub(crate) struct Alone {
    pub(crate) key: u32,
    to: oneshot::Sender<Option<Answer>>,
}

impl Batch for Desk {
    type Write = u32;
    type Answer = u32;

    fn order(a: &u32, b: &u32) -> Ordering {
        a.cmp(b)
    }

    /// Large keys are large writes.
    fn bytes(key: &u32) -> usize {
        (*key / LARGE) as usize
    }

    fn largest_bytes(&self) -> usize {
        LARGEST_BYTES
    }

    async fn together(&self, writes: &[u32]) -> Answers {
        let (to, answer) = oneshot::channel();
        let _ = self.0.send(Asked::Together(Together { keys: writes.to_vec(), to }));
        answer.await.expect("the clerk answers").expect("planned")
    }

    async fn alone(&self, write: &u32) -> Answer {
        let (to, answer) = oneshot::channel();
        let _ = self.0.send(Asked::Alone(Alone { key: *write, to }));
        answer.await.expect("the clerk answers").expect("planned")
    }
}

impl Together {
    pub(crate) fn keys(&self) -> Vec<u32> {
        self.keys.clone()
    }

    /// All of it is written.
    pub(crate) fn commit(self) {
        let answers = self.keys.iter().map(|key| Ok(key * 10)).collect();
        self.answer(Ok(answers));
    }

    pub(crate) fn answer(self, answers: Answers) {
        assert!(self.to.send(Some(answers)).is_ok(), "nobody waits for this batch");
    }

    pub(crate) fn panic(self) {
        assert!(self.to.send(None).is_ok(), "nobody waits for this batch");
    }

    /// Whether the call was not dropped.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.to.is_closed()
    }
}

impl Alone {
    pub(crate) fn answer(self, answer: Answer) {
        assert!(self.to.send(Some(answer)).is_ok(), "nobody waits for this write");
    }

    pub(crate) fn panic(self) {
        assert!(self.to.send(None).is_ok(), "nobody waits for this write");
    }

    /// Returns when the call is dropped.
    pub(crate) async fn given_up(mut self) {
        self.to.closed().await;
    }
}

/// Who answers.
pub(crate) struct Clerk(mpsc::UnboundedReceiver<Asked>);

impl Clerk {
    pub(crate) async fn asked(&mut self) -> Asked {
        self.0.recv().await.expect("the committer lives")
    }

    /// The next batch.
    pub(crate) async fn batch(&mut self) -> Together {
        match self.asked().await {
            Asked::Together(batch) => batch,
            Asked::Alone(alone) => panic!("{} is tried alone", alone.key),
        }
    }

    /// The batch that was asked for already, before any other task has run.
    pub(crate) fn now(&mut self) -> Option<Together> {
        match self.0.try_recv().ok()? {
            Asked::Together(batch) => Some(batch),
            Asked::Alone(_) => None,
        }
    }

    /// The next write that is tried alone.
    pub(crate) async fn alone(&mut self) -> Alone {
        match self.asked().await {
            Asked::Alone(alone) => alone,
            Asked::Together(batch) => panic!("{:?} are tried together", batch.keys),
        }
    }

    /// Whether there is nothing to do once every task has done what it can.
    pub(crate) async fn asks_nothing(&mut self) -> bool {
        settled().await;
        self.0.try_recv().is_err()
    }
}

/// A committer with a desk, and its clerk. Somebody writes alone and is never answered, or polled again: whoever comes
/// now goes through the queue, and does not wait for that one.
pub(crate) fn opened() -> (Committer<Desk>, Clerk) {
    let (committer, clerk) = free();
    let alone = write(&committer, u32::MAX);
    let clerk =
        std::thread::spawn(move || alone_for_ever(alone, clerk)).join().expect("somebody writes alone");
    (committer, clerk)
}

/// A committer that nobody has written to yet.
pub(crate) fn free() -> (Committer<Desk>, Clerk) {
    telling(OnCommit::default())
}

/// The same, and this is told of its commits.
pub(crate) fn telling(on_commit: OnCommit) -> (Committer<Desk>, Clerk) {
    let (desk, clerk) = mpsc::unbounded_channel();
    (Committer::telling(Desk(desk), on_commit), Clerk(clerk))
}

fn alone_for_ever(mut alone: Write, mut clerk: Clerk) -> Clerk {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        assert!((&mut alone).now_or_never().is_none());
        std::mem::forget((alone, clerk.batch().await));
    });
    clerk
}

/// A write that is not begun yet.
pub(crate) fn write(committer: &Committer<Desk>, key: u32) -> Write {
    let committer = committer.clone();
    Box::pin(async move { committer.write(key).await })
}

/// A write that is begun: it is in the queue, or waits for room.
pub(crate) fn begun(committer: &Committer<Desk>, key: u32) -> Write {
    let mut write = write(committer, key);
    // Not by tokio's budget of the test's own task, which many writes exhaust.
    let answered = tokio::task::unconstrained(&mut write).now_or_never();
    assert!(answered.is_none(), "answered before anybody has written it");
    write
}

/// Whether a write has no answer once every task has done what it can.
pub(crate) async fn is_pending(write: &mut Write) -> bool {
    settled().await;
    tokio::task::unconstrained(write).now_or_never().is_none()
}

/// Lets every other task of this thread go on until it waits.
pub(crate) async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn answers(writes: Vec<Write>) -> Vec<Answer> {
    futures_util::future::join_all(writes).await
}

/// How many writes are in the queue.
pub(crate) fn waiting(committer: &Committer<Desk>) -> usize {
    let printed = format!("{committer:?}");
    let digits: String = printed.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("`Debug` says how many wait")
}

pub(crate) fn is_in_doubt(answer: &Answer) -> bool {
    matches!(answer, Err(StoreError::InDoubt { .. }))
}

pub(crate) fn refused() -> StoreError {
    StoreError::Refused { doing: "committing", source: "a broken constraint".into() }
}

pub(crate) fn away() -> StoreError {
    StoreError::Away { doing: "committing", source: "too many connections".into() }
}

pub(crate) fn in_doubt() -> StoreError {
    StoreError::InDoubt { doing: "committing", source: "the wire broke".into() }
}
