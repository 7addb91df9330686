//! What a step is given besides its point: the contexts.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::digest;
use crate::outbox::Outbox;
use crate::signal::Signals;
use crate::{Key, Step};

/// Which attempt of which step this is.
pub(crate) struct Attempt {
    pub(crate) step: &'static str,
    pub(crate) number: u32,
    pub(crate) fence: i64,
    pub(crate) effect_key: Uuid,
    pub(crate) deadline: Option<Instant>,
    pub(crate) signals: Arc<Signals>,
    /// Whether it goes forward: else it takes a cancelled key back, and no cancel concerns it.
    pub(crate) forward: bool,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("step", &self.step)
            .field("number", &self.number)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// For a step that is called by hand.
    fn by_hand(key: &Key) -> Self {
        let seed = digest::effect_seed("by hand", key, 0, "", &[]);
        Self {
            step: "",
            number: 1,
            fence: 1,
            effect_key: digest::effect_key(&seed, ""),
            deadline: None,
            signals: Arc::default(),
            forward: true,
        }
    }

    fn cancellation(&self) -> CancellationToken {
        let signal = if self.forward { &self.signals.cancelled } else { &self.signals.lost };
        signal.token().clone()
    }
}

/// The context of an **atomic** step: its writes and its recovery point are one transaction.
///
/// `conn` is the application's own sqlx connection, inside the runner's transaction: whatever is written through it
/// commits together with the recovery point, or not at all. Do not commit or roll back on it, and call nothing
/// outside: for that there is [`Foreign`].
///
/// The type parameters: `C` the connection, `A` the application, `In` the request.
pub struct Atomic<'c, C, A, In> {
    /// The connection, inside the runner's transaction.
    pub conn: &'c mut C,
    /// The application: what was given to the runner.
    pub app: &'c A,
    /// The key.
    pub key: &'c Key,
    request: &'c In,
    outbox: Outbox,
    attempt: Attempt,
}

impl<'c, C, A, In> Atomic<'c, C, A, In> {
    /// A context by hand: a step is a function, and a test may call it with a transaction of its own.
    pub fn new(conn: &'c mut C, app: &'c A, key: &'c Key, request: &'c In) -> Self {
        Self { conn, app, key, request, outbox: Outbox::default(), attempt: Attempt::by_hand(key) }
    }

    /// The same, with the outbox in which a test looks for staged jobs.
    #[must_use]
    pub fn with_outbox(mut self, outbox: &Outbox) -> Self {
        self.outbox = outbox.clone();
        self
    }

    /// The context of a run.
    pub(crate) fn of(
        conn: &'c mut C,
        app: &'c A,
        key: &'c Key,
        request: &'c In,
        outbox: &Outbox,
        attempt: Attempt,
    ) -> Self {
        Self { conn, app, key, request, outbox: outbox.clone(), attempt }
    }

    /// The request, at any step.
    pub fn request(&self) -> &'c In {
        self.request
    }

    /// Stages a job: it is written with this step's recovery point, and delivered after the commit, at least once.
    /// Returns the message id that every delivery carries.
    ///
    /// # Errors
    /// If the kind has not 1 to 100 characters, or the payload cannot be written as JSON. By `?` the step fails, to be
    /// tried again.
    pub fn stage<T: Serialize>(&self, kind: &str, payload: &T) -> Step<Uuid> {
        Ok(self.outbox.stage(kind, payload)?)
    }

    /// The name of the step.
    pub fn step(&self) -> &'static str {
        self.attempt.step
    }

    /// Which attempt of this step this is, counted over all takeovers. It is counted before it begins: an attempt that
    /// a crash kept from beginning counts too. One that was rolled back together with other steps of its phase is not
    /// counted: it never happened.
    pub fn attempt(&self) -> u32 {
        self.attempt.number
    }

    /// The fencing token of this run: it only grows.
    pub fn fence(&self) -> i64 {
        self.attempt.fence
    }

    /// When this attempt is given up, by the step's time-outs and the run's limit. `None`: it may take its time.
    pub fn deadline(&self) -> Option<Instant> {
        self.attempt.deadline
    }

    /// Tells while the attempt is under way that a cancel was asked for, or that another runner has the key: what this
    /// attempt still does is not needed. A run in the process that cancels hears of it at once, another by its next
    /// heartbeat. It is a wish, and nothing is lost if a step does not heed it: the runner sees a cancel at the step's end.
    /// A step that heeds it returns any error.
    ///
    /// A step that is repeated only to learn what it has done, and an undo, are not told of the cancel that they serve.
    pub fn cancellation(&self) -> CancellationToken {
        self.attempt.cancellation()
    }
}

/// Which step of which key; the request may hold what must not stand in a log.
impl<C, A, In> fmt::Debug for Atomic<'_, C, A, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Atomic")
            .field("key", self.key)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The context of a **foreign** step: one that changes something outside the database, a foreign state mutation.
///
/// It has no connection: none is held while the step runs. Hand [`effect_key`](Self::effect_key) to the other side
/// as *its* idempotency key: every attempt of this step, by whatever process, gives the same one.
pub struct Foreign<'c, A, In> {
    /// The application: what was given to the runner.
    pub app: &'c A,
    /// The key.
    pub key: &'c Key,
    request: &'c In,
    attempt: Attempt,
}

impl<'c, A, In> Foreign<'c, A, In> {
    /// A context by hand, for a test that calls the step as a function.
    pub fn new(app: &'c A, key: &'c Key, request: &'c In) -> Self {
        Self { app, key, request, attempt: Attempt::by_hand(key) }
    }

    /// The context of a run.
    pub(crate) fn of(app: &'c A, key: &'c Key, request: &'c In, attempt: Attempt) -> Self {
        Self { app, key, request, attempt }
    }

    /// The request, at any step.
    pub fn request(&self) -> &'c In {
        self.request
    }

    /// What to hand to the other side as its idempotency key. It is the same at every attempt, after a restart, a
    /// takeover, a deploy or a rotated secret.
    pub fn effect_key(&self) -> Uuid {
        self.attempt.effect_key
    }

    /// The name of the step.
    pub fn step(&self) -> &'static str {
        self.attempt.step
    }

    /// Which attempt of this step this is, counted over all takeovers. It is counted before it begins: an attempt that
    /// a crash kept from beginning counts too, so the number only grows, but may skip.
    pub fn attempt(&self) -> u32 {
        self.attempt.number
    }

    /// The fencing token of this run: it only grows. A system that keeps the highest one it has seen can refuse a
    /// runner that was overtaken.
    pub fn fence(&self) -> i64 {
        self.attempt.fence
    }

    /// When this attempt is given up, by the step's time-outs and the run's limit. `None`: it may take its time.
    pub fn deadline(&self) -> Option<Instant> {
        self.attempt.deadline
    }

    /// Tells while the attempt is under way that a cancel was asked for, or that another runner has the key: what this
    /// attempt still does is not needed. A run in the process that cancels hears of it at once, another by its next
    /// heartbeat. It is a wish, and nothing is lost if a step does not heed it: the runner sees a cancel at the step's end.
    /// A step that heeds it returns any error: an [`InDoubt`](crate::InDoubt) if its
    /// call may have been heard.
    ///
    /// A step that is repeated only to learn what it has done, and an undo, are not told of the cancel that they serve.
    pub fn cancellation(&self) -> CancellationToken {
        self.attempt.cancellation()
    }
}

/// Which step of which key; the request may hold what must not stand in a log.
impl<A, In> fmt::Debug for Foreign<'_, A, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign")
            .field("key", self.key)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
