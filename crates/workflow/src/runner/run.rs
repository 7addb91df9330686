//! One run of one key: step, persist, step, until the response.
//!
//! What if the process dies here? Before a commit: nothing of the step has happened in the database, and a foreign
//! step is repeated with the same effect key. After it: the key stands at the next point, and whoever claims it
//! goes on from there. Without a reply: [`RunOf::settle`].

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use tracing::Instrument;

use crate::context::{Atomic, Attempt, Foreign};
use crate::outbox::{Outbox, StagedJob};
use crate::outcome::Reached;
use crate::record::{Advance, Status};
use crate::step::{AtomicRun, ForeignRun, Run, Stop};
use crate::workflow::{StepEntry, Table};
use crate::{Error, Halt, Key, Meaning, RecoveryPoint, Store, StoreError, digest};

use super::Inner;
use super::claim::Claimed;
use super::held::Held;
use super::patience::{Backoff, patiently};
use super::reach::{Reach, Stepped};
use super::seal::{Sealed, Sealer};

pub(super) struct RunOf<S: Store, A, In> {
    inner: Arc<Inner<S, A>>,
    table: Arc<Table<S::Conn, A, In>>,
    key: Key,
    request: In,
    held: Held,
    seed: Vec<u8>,
    /// The point at which the key stands, its number and its data.
    at: String,
    seq: i32,
    data: Vec<u8>,
    /// Of the next step.
    attempts: i32,
    first_attempt_at: DateTime<Utc>,
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    pub(super) async fn open(
        inner: Arc<Inner<S, A>>,
        table: Arc<Table<S::Conn, A, In>>,
        claimed: Claimed,
    ) -> Result<Self, Error> {
        let request = match serde_json::from_slice(&claimed.request) {
            Ok(request) => request,
            Err(source) => {
                let error =
                    Error::Data { key: claimed.key, point: crate::STARTED.into(), source: source.into() };
                let _ = inner.store.release(claimed.held.lease(), Some(&error.to_string())).await;
                return Err(error);
            }
        };
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
            first_attempt_at: claimed.first_attempt_at,
        })
    }

    /// The steps before the point at which the key stands.
    pub(super) fn done(&self) -> Vec<&'static str> {
        self.table.steps.iter().take_while(|step| !starts(step, &self.at)).map(|step| step.name).collect()
    }

    /// Runs the next step and persists what it reached. After an error the lease is given back.
    pub(super) async fn step(&mut self) -> Result<Stepped, Error> {
        let table = self.table.clone();
        let Some(entry) = table.steps.iter().find(|step| starts(step, &self.at)) else {
            let (key, point) = (self.key.clone(), self.at.clone());
            return Err(Error::UnknownPoint { key, workflow: table.name.to_owned(), point });
        };
        let span = tracing::info_span!("step", step = entry.name, point = %self.at, attempt = self.attempts);
        let stepped = async {
            match &entry.run {
                _ if !self.held.holds() => Err(self.lost()),
                Run::Atomic(run) => self.atomic(entry, run).await,
                Run::Foreign(run) => self.foreign(entry, run).await,
            }
        };
        let stepped = stepped.instrument(span.clone()).await;
        match &stepped {
            Ok(stepped) => tracing::debug!(parent: &span, reach = ?stepped.reach, "reached"),
            Err(Error::LeaseLost { .. }) => tracing::warn!(parent: &span, "lease lost"),
            Err(error) => self.give_back(Some(error)).instrument(span).await,
        }
        stepped
    }

    /// The step's writes, its jobs and its point: one transaction, the advance its last statement.
    async fn atomic(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        run: &AtomicRun<S::Conn, A, In>,
    ) -> Result<Stepped, Error> {
        let inner = self.inner.clone();
        loop {
            let mut tx = patiently(self.held.until(), || inner.store.begin()).await?;
            let outbox = Outbox::default();
            let context = Atomic::new(&mut *tx, &*inner.app, &self.key, &self.request)
                .with_outbox(&outbox)
                .run_by(self.attempt(entry));
            let reached = match caught(run(context, &self.data)).await {
                Ok(reached) => reached,
                Err(stop) => {
                    inner.store.rollback(tx).await;
                    return self.stopped(entry, stop).await;
                }
            };
            let sealed = match self.seal(&reached) {
                Ok(sealed) => sealed,
                Err(error) => {
                    inner.store.rollback(tx).await;
                    return Err(error);
                }
            };
            let jobs = outbox.take();
            let sent = Instant::now();
            let failed = match self.commit(tx, entry, &sealed, &jobs).await {
                Ok(at) => return Ok(self.moved(entry, reached, jobs, at, sent)),
                Err(StoreError::LeaseLost) => return Err(self.lost()),
                Err(error @ StoreError::InDoubt { .. }) => match self.settle(&sealed).await? {
                    Some(at) => return Ok(self.moved(entry, reached, jobs, at, sent)),
                    None => error,
                },
                Err(error) => error,
            };
            // Nothing of the step has happened: it runs again, as a further attempt.
            Backoff::until(self.held.until()).after(failed).await?;
            self.begin_attempt().await?;
        }
    }

    async fn commit(
        &self,
        mut tx: S::Tx,
        entry: &StepEntry<S::Conn, A, In>,
        sealed: &Sealed,
        jobs: &[StagedJob],
    ) -> Result<DateTime<Utc>, StoreError> {
        let store = &self.inner.store;
        match store.advance_in(&mut tx, self.held.lease(), self.advance(entry, sealed), jobs).await {
            Ok(at) => store.commit(tx).await.map(|()| at),
            Err(error) => {
                store.rollback(tx).await;
                // Without a COMMIT sent, a broken connection is no doubt.
                Err(match error {
                    StoreError::InDoubt { doing, source } => StoreError::Away { doing, source },
                    error => error,
                })
            }
        }
    }

    /// No connection is held while the step runs.
    async fn foreign(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        run: &ForeignRun<A, In>,
    ) -> Result<Stepped, Error> {
        let inner = self.inner.clone();
        let context = Foreign::new(&*inner.app, &self.key, &self.request).run_by(self.attempt(entry));
        match caught(run(context, &self.data)).await {
            Ok(reached) => self.persist(entry, reached).await,
            Err(stop) => self.stopped(entry, stop).await,
        }
    }

    /// Stores what was reached, as a commit of its own.
    async fn persist(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        reached: Reached,
    ) -> Result<Stepped, Error> {
        let sealed = self.seal(&reached)?;
        let mut backoff = Backoff::until(self.held.until());
        let mut in_doubt = false;
        loop {
            let sent = Instant::now();
            let failed = match self.inner.store.advance(self.held.lease(), self.advance(entry, &sealed)).await
            {
                Ok(at) => return Ok(self.moved(entry, reached, Vec::new(), at, sent)),
                // Our own earlier statement may have come through after all.
                Err(StoreError::LeaseLost) if !in_doubt => return Err(self.lost()),
                Err(error) => error,
            };
            in_doubt |= matches!(failed, StoreError::InDoubt { .. });
            if in_doubt && let Some(at) = self.settle(&sealed).await? {
                return Ok(self.moved(entry, reached, Vec::new(), at, sent));
            }
            if matches!(failed, StoreError::LeaseLost) {
                return Err(self.lost());
            }
            backoff.after(failed).await?;
        }
    }

    /// Whether an advance whose reply was lost has happened: the row is read under its lock, so that whoever was
    /// about to commit it has done so or never will. `None`: it has not, and the key is still ours.
    async fn settle(&self, sealed: &Sealed) -> Result<Option<DateTime<Utc>>, Error> {
        let lease = self.held.lease();
        let found = patiently(self.held.until(), || self.inner.store.settle(lease)).await?;
        let Some(found) = found.filter(|found| found.fence == lease.fence) else { return Err(self.lost()) };
        let there = match sealed {
            Sealed::Point { name, .. } => found.status == Status::Running && found.recovery_point == *name,
            Sealed::Finished(_) => found.status == Status::Finished,
        };
        match found.status {
            _ if there => Ok(Some(found.first_attempt_at.unwrap_or(self.first_attempt_at))),
            Status::Running if found.recovery_point == self.at => Ok(None),
            _ => Err(self.lost()),
        }
    }

    /// A step that reached nothing: its answer is final, or the key stays where it is.
    async fn stopped(&mut self, entry: &StepEntry<S::Conn, A, In>, stop: Stop) -> Result<Stepped, Error> {
        let (key, point) = (self.key.clone(), self.at.clone());
        match stop {
            Stop::Unreadable(source) | Stop::Unwritable(source) => {
                Err(Error::Data { key, point, source: source.into() })
            }
            Stop::Halt(halt) => match halt.into_meaning() {
                Meaning::Answer(response) => self.persist(entry, Reached::Response(response)).await,
                Meaning::Retry(source) => Err(Error::Step { key, step: entry.name, point, source }),
            },
        }
    }

    fn moved(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        reached: Reached,
        jobs: Vec<StagedJob>,
        at: DateTime<Utc>,
        sent: Instant,
    ) -> Stepped {
        self.held.extended(sent);
        (self.seq, self.attempts, self.first_attempt_at) = (self.seq + 1, 1, at);
        let reach = match reached {
            Reached::Point { name, data } => {
                self.at = name.to_owned();
                self.data.clone_from(&data);
                Reach::Point { name: name.to_owned(), data }
            }
            Reached::Response(response) => Reach::Response(response),
        };
        Stepped { step: Some(entry.name), reach, jobs }
    }

    async fn begin_attempt(&mut self) -> Result<(), Error> {
        let (lease, ttl) = (self.held.lease(), self.inner.settings.lease);
        let sent = Instant::now();
        match patiently(self.held.until(), || self.inner.store.begin_attempt(lease, ttl)).await {
            Ok(()) => self.held.extended(sent),
            Err(StoreError::LeaseLost) => return Err(self.lost()),
            Err(error) => return Err(error.into()),
        }
        self.attempts += 1;
        Ok(())
    }

    /// Gives the lease back. Where that fails it runs out by itself.
    pub(super) async fn give_back(&self, why: Option<&Error>) {
        let (lease, why) = (self.held.lease(), why.map(described));
        if let Err(error) =
            patiently(self.held.until(), || self.inner.store.release(lease, why.as_deref())).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the lease was not given back; it runs out"
            );
        }
    }

    fn seal(&self, reached: &Reached) -> Result<Sealed, Error> {
        let sealer = Sealer { codec: &*self.inner.settings.codec, key: &self.key };
        let point = reached.name().to_owned();
        sealer.seal(reached).map_err(|source| Error::Data { key: self.key.clone(), point, source })
    }

    fn advance<'a>(&'a self, entry: &'a StepEntry<S::Conn, A, In>, sealed: &'a Sealed) -> Advance<'a> {
        Advance {
            prev: &self.at,
            step: entry.name,
            seq: self.seq + 1,
            attempts: self.attempts,
            first_attempt_at: self.first_attempt_at,
            to: sealed.as_to(self.inner.settings.retention),
            lease: self.inner.settings.lease,
        }
    }

    fn attempt(&self, entry: &StepEntry<S::Conn, A, In>) -> Attempt {
        Attempt {
            step: entry.name,
            number: u32::try_from(self.attempts).unwrap_or(1),
            fence: self.held.lease().fence,
            effect_key: digest::effect_key(&self.seed, entry.effect_name),
        }
    }

    fn lost(&self) -> Error {
        Error::LeaseLost { key: self.key.clone(), point: self.at.clone() }
    }
}

fn starts<C, A, In>(step: &StepEntry<C, A, In>, point: &str) -> bool {
    step.from == point || step.aliases.contains(&point)
}

/// Runs a step; a panic in it is an error like any other.
async fn caught(step: impl Future<Output = Result<Reached, Stop>>) -> Result<Reached, Stop> {
    match AssertUnwindSafe(step).catch_unwind().await {
        Ok(out) => out,
        Err(panic) => Err(Stop::Halt(Halt::of(Panicked(message(&*panic))))),
    }
}

/// A step panicked.
#[derive(Debug, thiserror::Error)]
#[error("the step panicked: {0}")]
struct Panicked(String);

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// An error and its sources, as one line.
fn described(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}
