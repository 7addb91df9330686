//! A phase: consecutive atomic steps in one transaction, with the point of the foreign step before them.
//!
//! What if the process dies in the middle? Nothing of the phase has happened in the database. Its atomic steps run
//! again as if they never had, and the foreign step before them is repeated with the same effect key.
//!
//! What if a step of it fails, or the commit does? All of it is rolled back, the point that the phase carries is
//! written by itself at once, and the steps run again, one commit a step, up to the one that failed. A phase never
//! waits with a point that is not committed: not for a back-off, and not long for a connection.

use std::time::{Duration, Instant};

use crate::advance::Advance;
use crate::context::Atomic;
use crate::outbox::{Outbox, StagedJob};
use crate::outcome::Reached;
use crate::step::{ForeignRun, Stop};
use crate::workflow::{AtomicEntry, StepEntry, Table};
use crate::{Error, RecoveryPoint, Store, StoreError};

use super::patience::{Backoff, Limit};
use super::reach::Stepped;
use super::run::RunOf;
use super::seal::Sealed;
use super::turn::InHand;

/// How long a foreign step's point may wait for the transaction that is to carry it.
const CARRY: Duration = Duration::from_secs(1);

/// A step that has reached something which is not committed yet.
pub(super) struct Leg<'t, C, A, In> {
    entry: &'t StepEntry<C, A, In>,
    reached: Reached,
    sealed: Sealed,
    jobs: Vec<StagedJob>,
    attempts: i32,
}

/// What a phase has reached, in order. The first may be the foreign step whose point it carries.
type Legs<'t, C, A, In> = Vec<Leg<'t, C, A, In>>;

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    /// A foreign step whose point is committed with the atomic steps after it.
    pub(super) async fn carrying<'t>(
        &mut self,
        table: &'t Table<S::Conn, A, In>,
        entry: &'t StepEntry<S::Conn, A, In>,
        run: &ForeignRun<A, In>,
        next: AtomicEntry<'t, S::Conn, A, In>,
    ) -> Result<Vec<Stepped>, Error> {
        let reached = match self.call(entry, run).await {
            Ok(reached) => reached,
            Err(stop) => return self.stopped(entry, stop).await.map(|stepped| vec![stepped]),
        };
        let sealed = self.seal(&reached)?;
        let carried = Leg { entry, reached, sealed, jobs: Vec::new(), attempts: self.attempts };
        self.together(table, vec![carried], next).await
    }

    /// The atomic steps from `first` on, in one transaction with what is carried.
    pub(super) async fn together<'t>(
        &mut self,
        table: &'t Table<S::Conn, A, In>,
        mut legs: Legs<'t, S::Conn, A, In>,
        first: AtomicEntry<'t, S::Conn, A, In>,
    ) -> Result<Vec<Stepped>, Error> {
        let carried = legs.len();
        let mut tx = match self.begin(carried > 0).await {
            Ok(tx) => tx,
            Err(error) if carried > 0 => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no transaction to carry a point");
                return self.carried_alone(legs).await;
            }
            Err(error) => return Err(error.into()),
        };
        let mut next = Some(first);
        while let Some((entry, run)) = next {
            match self.within(&mut tx, (entry, run), &legs).await {
                Ok(leg) => legs.push(leg),
                Err(stop) => {
                    self.rollback(tx).await;
                    return self.failed_at(entry, stop, legs, carried).await;
                }
            }
            next = table.shares(entry);
        }
        self.commit_together(tx, legs, carried).await
    }

    async fn begin(&self, carries: bool) -> Result<S::Tx, StoreError> {
        let (store, limit) = (&self.inner.store, self.limit());
        if carries {
            return Limit { call: CARRY.min(limit.call), ..limit }.once(store.begin()).await;
        }
        limit.patiently(|| store.begin()).await
    }

    /// One atomic step of the phase.
    async fn within<'t>(
        &self,
        tx: &mut S::Tx,
        (entry, run): AtomicEntry<'t, S::Conn, A, In>,
        before: &[Leg<'t, S::Conn, A, In>],
    ) -> Result<Leg<'t, S::Conn, A, In>, Stop> {
        // The first attempt of a step within the phase is recorded together with its point.
        let attempts = if before.is_empty() { self.attempts } else { 1 };
        let data = match before.last().map(|leg| &leg.reached) {
            Some(Reached::Point { data, .. }) => data,
            _ => &self.data,
        };
        let outbox = Outbox::default();
        let attempt = self.attempt(entry, attempts);
        let deadline = attempt.deadline;
        let context = Atomic::of(&mut **tx, &*self.inner.app, &self.key, &self.request, &outbox, attempt);
        let step = run(context, data);
        let reached = self.attempted(entry, false, attempts, deadline, step).await?;
        let sealed = self.seal(&reached).map_err(Stop::Unsealed)?;
        Ok(Leg { entry, reached, sealed, jobs: outbox.take(), attempts })
    }

    async fn commit_together<'t>(
        &mut self,
        tx: S::Tx,
        mut legs: Legs<'t, S::Conn, A, In>,
        carried: usize,
    ) -> Result<Vec<Stepped>, Error> {
        let jobs: Vec<StagedJob> = legs.iter().flat_map(|leg| leg.jobs.clone()).collect();
        let sent = Instant::now();
        let failed = match self.committed(tx, &self.walk(&legs), &jobs, None).await {
            Ok(Ok(at)) => return Ok(self.moved_together(legs, at, sent)),
            Ok(Err(failed)) => failed,
            Err(error) => {
                legs.truncate(carried);
                legs.into_iter().for_each(|leg| self.keep(&error, InHand::of(leg.sealed)));
                return Err(error);
            }
        };
        // Nothing of the phase has happened.
        self.singly_to = self.number(&legs);
        legs.truncate(carried);
        let stepped = self.carried_alone(legs).await?;
        if failed.is_transient() {
            Backoff::until(self.held.until()).after(failed).await?;
        }
        Ok(stepped)
    }

    /// A step of the phase has reached nothing, and what the steps before it wrote is rolled back with it.
    async fn failed_at<'t>(
        &mut self,
        entry: &'t StepEntry<S::Conn, A, In>,
        stop: Stop,
        mut legs: Legs<'t, S::Conn, A, In>,
        carried: usize,
    ) -> Result<Vec<Stepped>, Error> {
        let first = legs.len() == carried;
        self.singly_to = self.number(&legs) + 1;
        legs.truncate(carried);
        let mut stepped = self.carried_alone(legs).await?;
        if first {
            stepped.push(self.stopped(entry, stop).await?);
        } else {
            tracing::debug!(step = entry.name, "a step of a phase failed: one commit a step");
        }
        Ok(stepped)
    }

    /// Writes the point that the phase has carried by itself.
    async fn carried_alone(&mut self, legs: Legs<'_, S::Conn, A, In>) -> Result<Vec<Stepped>, Error> {
        let mut stepped = Vec::new();
        for leg in legs {
            stepped.push(self.persist_sealed(leg.entry, leg.reached, leg.sealed).await?);
        }
        Ok(stepped)
    }

    /// The number of the last point of these.
    fn number(&self, legs: &[Leg<'_, S::Conn, A, In>]) -> i32 {
        self.seq.saturating_add(i32::try_from(legs.len()).unwrap_or(i32::MAX))
    }

    fn walk<'a>(&'a self, legs: &'a [Leg<'_, S::Conn, A, In>]) -> Vec<Advance<'a>> {
        let from = std::iter::once(&*self.at).chain(legs.iter().map(|leg| leg.reached.name()));
        let numbered = (self.seq + 1..).zip(from).zip(legs);
        let advance = |((seq, prev), leg): ((i32, &'a str), &'a Leg<'_, S::Conn, A, In>)| Advance {
            prev,
            step: leg.entry.name,
            seq,
            attempts: leg.attempts,
            first_attempt_at: (seq == self.seq + 1).then_some(self.first_attempt_at),
            to: leg.sealed.as_to(self.inner.settings.retention),
            lease: self.inner.settings.lease,
        };
        numbered.map(advance).collect()
    }

    fn moved_together(
        &mut self,
        legs: Legs<'_, S::Conn, A, In>,
        at: chrono::DateTime<chrono::Utc>,
        sent: Instant,
    ) -> Vec<Stepped> {
        legs.into_iter().map(|leg| self.moved(leg.entry, leg.reached, leg.jobs, at, sent)).collect()
    }
}
