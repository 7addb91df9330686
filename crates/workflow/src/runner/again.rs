//! A step that failed in a way that may pass: by its policy it is tried again, put off, or given up.
//!
//! What if the process dies here? Before the failure is recorded: the key is claimed when the lease has run out, and that
//! attempt counts as one of which nobody knows what it did. After it: the next attempt is counted already, or the key waits
//! or is parked.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Then};
use crate::halt::among;
use crate::record::Status;
use crate::retry::{Next, Policy};
use crate::step::Run;
use crate::workflow::{StepEntry, Undo};
use crate::{Error, RecoveryPoint, RetryAfter, Store, StoreError};

use super::course::Course;
use super::persist::described;
use super::reach::Stepped;
use super::run::RunOf;

/// What is attempted: a step, or its undo.
#[derive(Clone, Copy)]
pub(super) struct Act<'t> {
    pub(super) name: &'t str,
    pub(super) foreign: bool,
    pub(super) policy: &'t Policy,
}

impl<'t> Act<'t> {
    pub(super) fn forward<C, A, In>(entry: &'t StepEntry<C, A, In>) -> Self {
        Self { name: entry.name, foreign: entry.is_foreign(), policy: &entry.policy }
    }

    pub(super) fn undo<C, A, In>(undo: &'t Undo<C, A, In>) -> Self {
        Self { name: &undo.name, foreign: matches!(undo.run, Run::Foreign(_)), policy: &undo.policy }
    }
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    /// What comes after a failed attempt. Nothing is reached if the step is to be tried again.
    pub(super) async fn again(&mut self, act: Act<'_>, failed: Error) -> Result<Vec<Stepped>, Error> {
        let Error::Step { source, in_doubt, .. } = &failed else { return Err(failed) };
        let in_doubt = *in_doubt && act.foreign;
        let why = described(&**source);
        let failure = self.failure(act, &why, in_doubt);
        let asked = among::<RetryAfter>(&**source).map(|asked| asked.after);
        let attempts = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        let next = match act.policy.retry {
            _ if self.is_over(act) => Next::Exhausted,
            Some(retry) => self.in_its_time(act, retry.next(attempts, asked)),
            None => {
                return match self.leave(failure, Then::Free).await {
                    Ok(()) => Err(failed),
                    Err(lost @ Error::LeaseLost { .. }) => Err(lost),
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "a failure was not recorded"
                        );
                        Err(failed)
                    }
                };
            }
        };
        match next {
            Next::After(pause) => {
                tracing::warn!(step = act.name, attempt = self.attempts, error = why, ?pause, "tried again");
                self.pause(pause).await;
                // Nobody waits in a process that ends.
                if self.goes_on().is_err() {
                    return self.put_off(failure, pause).await;
                }
                self.fail(failure, self.next_attempt()).await?;
                Ok(Vec::new())
            }
            Next::Later(pause) => self.put_off(failure, pause).await,
            Next::Exhausted => self.exhausted(act, failure, source).await,
        }
    }

    async fn put_off(&mut self, failure: Failure<'_>, pause: Duration) -> Result<Vec<Stepped>, Error> {
        self.leave(failure, Then::Later(pause)).await?;
        Err(Error::Waiting { key: self.key.clone(), retry_after: pause })
    }

    /// What nobody knows to have happened ends in nothing but what it comes to.
    async fn exhausted(
        &mut self,
        act: Act<'_>,
        failure: Failure<'_>,
        error: &crate::BoxError,
    ) -> Result<Vec<Stepped>, Error> {
        let known = self.failures + i32::from(!failure.in_doubt);
        let settled = !act.foreign || known == self.attempts;
        let Some(answer) = act.policy.exhausted.as_ref().filter(|_| settled) else {
            self.leave(failure, Then::Park).await?;
            return Err(Error::NeedsAttention { key: self.key.clone(), status: Status::NeedsAttention });
        };
        self.fail(failure, Then::Stay).await?;
        let table = self.table.clone();
        let Some(entry) = table.steps.iter().find(|entry| entry.name == act.name) else {
            return Ok(Vec::new());
        };
        Ok(vec![self.refuse(entry, answer(error)).await?])
    }

    /// No attempt begins after the deadline.
    fn in_its_time(&self, act: Act<'_>, next: Next) -> Next {
        let (Next::After(pause) | Next::Later(pause)) = next else { return next };
        let now = tokio::time::Instant::now();
        match self.end(act) {
            Some(end) if now + pause >= end => Next::Exhausted,
            _ => next,
        }
    }

    /// Whether no attempt may begin any more.
    pub(super) fn is_over(&self, act: Act<'_>) -> bool {
        self.end(act).is_some_and(|end| end <= tokio::time::Instant::now())
    }

    /// When an attempt that begins now is given up.
    pub(super) fn deadline(&self, act: Act<'_>) -> Option<tokio::time::Instant> {
        let attempt = act.policy.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        [attempt, self.end(act)].into_iter().flatten().min()
    }

    /// After when no attempt of this step begins.
    fn end(&self, act: Act<'_>) -> Option<tokio::time::Instant> {
        let step = act.policy.time_limit.map(|limit| self.step_since + limit);
        let run = self.table.time_limit.map(|limit| self.since + limit);
        match self.course {
            Course::Forward => [step, run].into_iter().flatten().min(),
            // What is not known must become known, however long that takes.
            Course::Cancelled(_) => None,
            Course::Undoing(_) => step,
        }
    }

    pub(super) fn failure<'a>(&self, act: Act<'a>, error: &'a str, in_doubt: bool) -> Failure<'a> {
        let cancelled = matches!(self.course, Course::Cancelled(_));
        Failure { seq: self.seq + 1, step: act.name, attempt: self.attempts, error, in_doubt, cancelled }
    }

    pub(super) fn next_attempt(&self) -> Then {
        Then::Again(self.inner.settings.lease)
    }

    /// Waits for the next attempt. Forward, a cancel is not waited for; and a process that ends waits for nothing.
    async fn pause(&self, pause: Duration) {
        let (cancelled, stopping) = (&self.held.signals().cancelled, self.inner.registry.stopping());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.token().cancelled() => {}
            () = cancelled.token().cancelled(), if self.course.is_forward() => {}
        }
    }

    /// Records a failure before the run goes on.
    pub(super) async fn fail(&mut self, failure: Failure<'_>, then: Then) -> Result<(), Error> {
        let lease = self.held.lease();
        let sent = Instant::now();
        match self.limit().patiently(|| self.inner.store.fail(lease, failure, then)).await {
            Ok(()) => {}
            Err(StoreError::LeaseLost) => return Err(self.overruled(failure).await?),
            Err(error) => return Err(error.into()),
        }
        if let Then::Again(_) = then {
            self.counted(failure, sent);
        }
        Ok(())
    }

    /// Records a failure and leaves the key. Where that fails the lease runs out by itself.
    async fn leave(&mut self, failure: Failure<'_>, then: Then) -> Result<(), Error> {
        let lease = self.held.lease();
        let mut calls = 0;
        let left = self.limit().patiently(|| {
            calls += 1;
            self.inner.store.fail(lease, failure, then)
        });
        match left.await {
            Err(StoreError::LeaseLost) => match self.overruled(failure).await? {
                // The call before, whose reply was lost, has given the lease back.
                _ if calls > 1 && self.course.is_forward() => Ok(()),
                lost => Err(lost),
            },
            left => Ok(left?),
        }
    }

    /// Why a failure could not be recorded. If the key is cancelled, it is recorded now, and the run knows of the cancel.
    async fn overruled(&mut self, failure: Failure<'_>) -> Result<Error, Error> {
        if self.course.is_forward() && self.is_cancelled().await? {
            let (lease, sent) = (self.held.lease(), Instant::now());
            let known = Failure { cancelled: true, ..failure };
            let next = self.next_attempt();
            match self.limit().patiently(|| self.inner.store.fail(lease, known, next)).await {
                Ok(()) => self.counted(failure, sent),
                Err(StoreError::LeaseLost) => self.held.signals().lose(),
                Err(error) => return Err(error.into()),
            }
            return Ok(self.lost());
        }
        Ok(self.fenced())
    }

    /// The next attempt is counted.
    fn counted(&mut self, failure: Failure<'_>, sent: Instant) {
        self.held.extended(sent);
        self.attempts += 1;
        self.failures += i32::from(!failure.in_doubt);
    }
}
