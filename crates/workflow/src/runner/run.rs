//! One run of one key: step, persist, step, until the response.
//!
//! What if the process dies here? Before a commit: nothing of the step has happened in the database, and a foreign
//! step is repeated with the same effect key. After it: the key stands at the next point, and whoever claims it
//! goes on from there. Without a reply: [`RunOf::settle`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::context::{Atomic, Attempt, Foreign};
use crate::outbox::Outbox;
use crate::outcome::Reached;
use crate::step::{AtomicRun, ForeignRun, Run, Stop};
use crate::workflow::{StepEntry, Table};
use crate::{BoxError, Error, Event, Key, Meaning, RecoveryPoint, Response, STARTED, Store, digest};
use chrono::{DateTime, Utc};

use super::Inner;
use super::again::Act;
use super::claim::Claimed;
use super::course::{Course, is_undone_from};
use super::held::Held;
use super::panicked::Panicked;
use super::patience::Backoff;
use super::persist::described;
use super::reach::Stepped;
use super::turn::InHand;

pub(super) struct RunOf<S: Store, A, In> {
    pub(super) inner: Arc<Inner<S, A>>,
    pub(super) table: Arc<Table<S::Conn, A, In>>,
    pub(super) key: Key,
    pub(super) request: In,
    pub(super) held: Held,
    pub(super) seed: Vec<u8>,
    /// The point at which the key stands, its number and its data.
    pub(super) at: String,
    pub(super) seq: i32,
    pub(super) data: Vec<u8>,
    /// Of the next step.
    pub(super) attempts: i32,
    /// How many of its attempts are known to have done nothing.
    pub(super) failures: i32,
    pub(super) first_attempt_at: DateTime<Utc>,
    /// When that was, and the first claim.
    pub(super) step_since: tokio::time::Instant,
    pub(super) since: tokio::time::Instant,
    pub(super) course: Course,
    /// Of the next step, known and not committed: a cancel came first.
    pub(super) in_hand: Option<InHand>,
    /// The steps that this run has completed.
    pub(super) ran: Vec<&'static str>,
    /// Up to this point each step has a commit of its own: a phase has failed.
    pub(super) singly_to: i32,
    /// The store has refused a write by its guard.
    pub(super) fenced: AtomicBool,
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    pub(super) async fn open(
        inner: Arc<Inner<S, A>>,
        table: Arc<Table<S::Conn, A, In>>,
        claimed: Claimed,
    ) -> Result<Self, Error> {
        let request = Panicked::catch(|| serde_json::from_slice(&claimed.request).map_err(BoxError::from));
        let request = match request {
            Ok(request) => request,
            Err(source) => {
                let error = Error::Data { key: claimed.key, point: STARTED.to_owned(), source };
                super::persist::give_back(&*inner, &claimed.held, Some(&error)).await;
                return Err(error);
            }
        };
        let now = tokio::time::Instant::now();
        Ok(Self {
            inner,
            table,
            key: claimed.key,
            request,
            held: claimed.held,
            seed: claimed.effect_seed,
            at: claimed.recovery_point,
            seq: claimed.seq,
            data: claimed.data,
            attempts: claimed.attempts,
            failures: claimed.failures,
            first_attempt_at: claimed.first_attempt_at,
            step_since: now.checked_sub(claimed.step_age).unwrap_or(now),
            since: now.checked_sub(claimed.age).unwrap_or(now),
            course: claimed.course,
            in_hand: None,
            ran: Vec::new(),
            singly_to: 0,
            fenced: AtomicBool::new(false),
        })
    }

    /// The steps before the point at which the key stands.
    pub(super) fn done(&self) -> Vec<&'static str> {
        if is_undone_from(&self.at) {
            return Vec::new();
        }
        self.table.steps.iter().take_while(|step| !step.starts_at(&self.at)).map(|step| step.name).collect()
    }

    /// Runs the next step alone and persists what it reached. After an error the lease is given back.
    pub(super) async fn step(&mut self) -> Result<Stepped, Error> {
        loop {
            if let Some(stepped) = self.go(true).await?.pop() {
                return Ok(stepped);
            }
        }
    }

    /// Runs the next steps up to the next commit, and commits what they reached: a foreign step, then the atomic ones
    /// that share its commit. Returns what is committed. After an error the lease is given back.
    pub(super) async fn phase(&mut self) -> Result<Vec<Stepped>, Error> {
        self.go(false).await
    }

    /// Nothing is reached if a step is to be tried again, or the key to be turned round.
    async fn go(&mut self, alone: bool) -> Result<Vec<Stepped>, Error> {
        let table = self.table.clone();
        let course = self.course.clone();
        let forward = course.is_forward();
        let stepped = match course {
            Course::Forward if alone => self.forward_alone(&table).await.map(|stepped| vec![stepped]),
            Course::Forward => self.forward(&table).await,
            Course::Cancelled(answer) => self.turn_back(&table, answer).await.map(|stepped| vec![stepped]),
            Course::Undoing(answer) => self.undo(&table, answer).await.map(|stepped| vec![stepped]),
        };
        let error = match self.retried(&table, stepped).await {
            Err(error @ Error::LeaseLost { .. }) if forward => match self.is_turned().await {
                Ok(true) => {
                    // It was the cancel that the guard has met.
                    *self.fenced.get_mut() = false;
                    return Ok(Vec::new());
                }
                Ok(false) => error,
                Err(unknown) => unknown,
            },
            Err(error) => error,
            reached => return reached,
        };
        match &error {
            Error::LeaseLost { .. } => self.tell_lost(),
            // By the policy of its step the key was left already.
            Error::Step { .. } | Error::Waiting { .. } | Error::NeedsAttention { .. } => {}
            error => self.give_back(Some(error)).await,
        }
        Err(error)
    }

    async fn forward_alone(&mut self, table: &Table<S::Conn, A, In>) -> Result<Stepped, Error> {
        let entry = self.next(table).await?;
        match &entry.run {
            _ if self.is_over(Act::forward(entry)) => Err(self.too_late(entry)),
            Run::Atomic(run) => self.atomic(entry, run).await,
            Run::Foreign(run) => self.foreign(entry, run).await,
        }
    }

    async fn forward(&mut self, table: &Table<S::Conn, A, In>) -> Result<Vec<Stepped>, Error> {
        let entry = self.next(table).await?;
        let shares = table.shares(entry).filter(|_| self.seq + 1 > self.singly_to);
        match (&entry.run, shares) {
            _ if self.is_over(Act::forward(entry)) => Err(self.too_late(entry)),
            (Run::Atomic(run), None) => self.atomic(entry, run).await.map(|stepped| vec![stepped]),
            (Run::Foreign(run), None) => self.foreign(entry, run).await.map(|stepped| vec![stepped]),
            (Run::Atomic(run), Some(_)) => self.together(table, Vec::new(), (entry, run)).await,
            (Run::Foreign(run), Some(next)) => self.carrying(table, entry, run, next).await,
        }
    }

    /// The step that goes on from here, while the lease holds and, forward, nobody asks for a cancel.
    pub(super) async fn next<'t>(
        &self,
        table: &'t Table<S::Conn, A, In>,
    ) -> Result<&'t StepEntry<S::Conn, A, In>, Error> {
        let Some(entry) = table.from(&self.at) else {
            let (key, point) = (self.key.clone(), self.at.clone());
            return Err(Error::UnknownPoint { key, workflow: table.name.to_owned(), point });
        };
        if !self.held.holds() {
            // By the local clock alone it may still be ours: then it is given back, and else that does nothing.
            self.give_back(None).await;
            return Err(self.lost());
        }
        self.goes_on()?;
        match self.course.is_forward() && self.held.signals().cancelled.is_raised() {
            true => Err(self.lost()),
            false => Ok(entry),
        }
    }

    /// Unless the runner is shutting down. Whoever claims the key next goes on.
    pub(super) fn goes_on(&self) -> Result<(), Error> {
        if self.inner.registry.stopping().is_raised() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Whether the lease lets the key go no further forward because it is cancelled.
    async fn is_turned(&mut self) -> Result<bool, Error> {
        Ok(!self.course.is_forward() || self.is_cancelled().await?)
    }

    /// What comes after a failed attempt.
    async fn retried(
        &mut self,
        table: &Table<S::Conn, A, In>,
        stepped: Result<Vec<Stepped>, Error>,
    ) -> Result<Vec<Stepped>, Error> {
        match stepped {
            Err(failed @ Error::Step { step, .. }) => {
                match table.steps.iter().find(|entry| entry.name == step) {
                    Some(entry) => self.again(Act::forward(entry), failed).await,
                    None => Err(failed),
                }
            }
            stepped => stepped,
        }
    }

    /// The step's writes, its jobs and its point: one transaction, the advance its last statement.
    async fn atomic(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        run: &AtomicRun<S::Conn, A, In>,
    ) -> Result<Stepped, Error> {
        let inner = self.inner.clone();
        // It ends with the lease as it is now, however often the attempts extend that.
        let mut backoff = Backoff::until(self.held.until());
        loop {
            let mut tx = self.limit().patiently(|| inner.store.begin()).await?;
            let outbox = Outbox::default();
            let attempt = self.attempt(entry, self.attempts);
            let deadline = attempt.deadline;
            let context = Atomic::of(&mut *tx, &*inner.app, &self.key, &self.request, &outbox, attempt);
            let step = run(context, &self.data);
            let reached = match self.attempted(entry, false, self.attempts, deadline, step).await {
                Ok(reached) => reached,
                Err(stop) => {
                    self.rollback(tx).await;
                    return self.stopped(entry, stop).await;
                }
            };
            let sealed = match self.seal(&reached) {
                Ok(sealed) => sealed,
                Err(error) => {
                    self.rollback(tx).await;
                    return Err(error);
                }
            };
            let jobs = outbox.take();
            let sent = Instant::now();
            let failed = match self.committed(tx, &[self.advance(entry, &sealed)], &jobs, None).await? {
                Ok(at) => return Ok(self.moved(entry, reached, jobs, at, sent)),
                Err(failed) => failed,
            };
            // Nothing of the step has happened: it runs again, as a further attempt.
            let why = described(&failed);
            backoff.after(failed).await?;
            self.fail(self.failure(Act::forward(entry), &why, false), self.next_attempt()).await?;
        }
    }

    /// No connection is held while the step runs.
    async fn foreign(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        run: &ForeignRun<A, In>,
    ) -> Result<Stepped, Error> {
        match self.call(entry, run).await {
            Ok(reached) => self.persist(entry, reached).await,
            Err(stop) => self.stopped(entry, stop).await,
        }
    }

    pub(super) async fn call(
        &self,
        entry: &StepEntry<S::Conn, A, In>,
        run: &ForeignRun<A, In>,
    ) -> Result<Reached, Stop> {
        let attempt = self.attempt(entry, self.attempts);
        let deadline = attempt.deadline;
        let context = Foreign::of(&*self.inner.app, &self.key, &self.request, attempt);
        let step = run(context, &self.data);
        self.attempted(entry, true, self.attempts, deadline, step).await
    }

    /// A step that reached nothing: its answer is final, or the key stays where it is.
    pub(super) async fn stopped(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        stop: Stop,
    ) -> Result<Stepped, Error> {
        let answer = self.refused(entry, stop)?;
        self.refuse(entry, answer).await
    }

    /// The answer of a step that reached nothing, if it is final.
    pub(super) fn refused(&self, entry: &StepEntry<S::Conn, A, In>, stop: Stop) -> Result<Response, Error> {
        let (key, point, step) = (self.key.clone(), self.at.clone(), entry.name);
        match stop {
            Stop::Unreadable(source) | Stop::Unwritable(source) => {
                Err(Error::Data { key, point, source: source.into() })
            }
            Stop::Unsealed(error) => Err(error),
            Stop::Halt(halt) => match halt.into_meaning() {
                Meaning::Answer(response) => Ok(response),
                Meaning::InDoubt(source) => Err(Error::Step { key, step, point, in_doubt: true, source }),
                Meaning::Retry(source) => Err(Error::Step { key, step, point, in_doubt: false, source }),
            },
        }
    }

    pub(super) fn attempt(&self, entry: &StepEntry<S::Conn, A, In>, number: i32) -> Attempt {
        Attempt {
            step: entry.name,
            number: u32::try_from(number).unwrap_or(1),
            fence: self.held.lease().fence,
            effect_key: digest::effect_key(&self.seed, entry.effect_name),
            deadline: self.deadline(Act::forward(entry)),
            signals: self.held.signals().clone(),
            forward: self.course.is_forward(),
        }
    }

    /// An attempt that does not begin any more.
    fn too_late(&self, entry: &StepEntry<S::Conn, A, In>) -> Error {
        let (key, point, source) = (self.key.clone(), self.at.clone(), TooLate.into());
        Error::Step { key, step: entry.name, point, in_doubt: false, source }
    }

    pub(super) fn lost(&self) -> Error {
        Error::LeaseLost { key: self.key.clone(), point: self.at.clone() }
    }

    /// The store says that the key is another's, or cancelled.
    pub(super) fn fenced(&self) -> Error {
        self.fenced.store(true, Ordering::Relaxed);
        self.lost()
    }

    fn tell_lost(&mut self) {
        tracing::warn!(point = %self.at, "lease lost");
        let (watch, workflow) = (&self.inner.settings.watch, self.table.name);
        if *self.fenced.get_mut() {
            watch.tell(Event::Fenced { workflow });
        }
        watch.tell(Event::LeaseLost { workflow });
    }
}

/// The time of a step or of its run was over before the attempt began.
#[derive(Debug, thiserror::Error)]
#[error("the time of the step, or of its run, is over")]
struct TooLate;
