//! A step that failed in a way that may pass: by its policy it is tried again, put off, or given up.
//!
//! What if the process dies here? Before the failure is recorded: the key is claimed when the lease has run out, and that
//! attempt counts as one of which nobody knows what it did. After it: the next attempt is counted already, or the key waits
//! or is parked.

use std::time::Instant;

use crate::failure::{Failure, Then};
use crate::halt::among;
use crate::record::Status;
use crate::retry::{Next, Policy};
use crate::step::Run;
use crate::workflow::{StepEntry, Undo};
use crate::{Error, RecoveryPoint, RetryAfter, Store, StoreError};

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
                if let Err(error) = self.leave(failure, Then::Free).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a failure was not recorded");
                }
                return Err(failed);
            }
        };
        match next {
            Next::After(pause) => {
                tracing::warn!(step = act.name, attempt = self.attempts, error = why, ?pause, "tried again");
                tokio::time::sleep(pause).await;
                self.fail(failure, self.next_attempt()).await?;
                Ok(Vec::new())
            }
            Next::Later(pause) => {
                self.leave(failure, Then::Later(pause)).await?;
                Err(Error::Waiting { key: self.key.clone(), retry_after: pause })
            }
            Next::Exhausted => self.exhausted(act, failure, source).await,
        }
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
        let run = self.table.time_limit.filter(|_| self.undoing.is_none()).map(|limit| self.since + limit);
        [step, run].into_iter().flatten().min()
    }

    pub(super) fn failure<'a>(&self, act: Act<'a>, error: &'a str, in_doubt: bool) -> Failure<'a> {
        Failure { seq: self.seq + 1, step: act.name, attempt: self.attempts, error, in_doubt }
    }

    pub(super) fn next_attempt(&self) -> Then {
        Then::Again(self.inner.settings.lease)
    }

    /// Records a failure before the run goes on.
    pub(super) async fn fail(&mut self, failure: Failure<'_>, then: Then) -> Result<(), Error> {
        let lease = self.held.lease();
        let sent = Instant::now();
        match self.limit().patiently(|| self.inner.store.fail(lease, failure, then)).await {
            Ok(()) => {}
            Err(StoreError::LeaseLost) => return Err(self.lost()),
            Err(error) => return Err(error.into()),
        }
        if let Then::Again(_) = then {
            self.held.extended(sent);
            self.attempts += 1;
            self.failures += i32::from(!failure.in_doubt);
        }
        Ok(())
    }

    /// Records a failure and leaves the key. Where that fails the lease runs out by itself.
    async fn leave(&self, failure: Failure<'_>, then: Then) -> Result<(), Error> {
        let lease = self.held.lease();
        let mut calls = 0;
        let left = self.limit().patiently(|| {
            calls += 1;
            self.inner.store.fail(lease, failure, then)
        });
        match left.await {
            // The call before, whose reply was lost, has given the lease back.
            Err(StoreError::LeaseLost) if calls > 1 => Ok(()),
            Err(StoreError::LeaseLost) => Err(self.lost()),
            left => Ok(left?),
        }
    }
}
