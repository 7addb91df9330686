//! The turn: from here on a key goes back, because a step has refused or a cancel was asked for.
//!
//! What if the process dies here? Before the turn is committed: the step that refused runs again; a key that is cancelled
//! is cancelled for whoever claims it, too. After it: the key is `undoing`, with its answer.

use std::time::Instant;

use crate::advance::{Advance, To};
use crate::outcome::Reached;
use crate::record::Status;
use crate::step::Run;
use crate::workflow::{StepEntry, Table};
use crate::{Error, RecoveryPoint, Response, Store, StoreError};

use super::course::Course;
use super::patience::Backoff;
use super::reach::Stepped;
use super::run::RunOf;
use super::seal::Sealed;

/// What is known of a step and is not committed, because a cancel came first.
pub(super) enum InHand {
    Reached(Sealed),
    /// It has done nothing, for good.
    Refused,
}

impl InHand {
    /// A final answer of a step that can be cancelled is a refusal, or is rolled back.
    pub(super) fn of(sealed: Sealed) -> Self {
        match sealed {
            Sealed::Point { .. } => Self::Reached(sealed),
            Sealed::Finished(_) => Self::Refused,
        }
    }
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    /// A final answer of this step: it is stored when the steps before it are undone, at once if none can be.
    pub(super) async fn refuse(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        answer: Response,
    ) -> Result<Stepped, Error> {
        let table = self.table.clone();
        let mut before = table.steps.iter().take_while(|step| step.name != entry.name);
        if !before.any(|step| step.undo.is_some()) {
            return self.persist(entry, Reached::Response(answer)).await;
        }
        if let Err(error) = self.turn(entry, entry.refused(), None, Some(&answer)).await {
            self.keep(&error, InHand::Refused);
            return Err(error);
        }
        tracing::debug!(step = entry.name, "refused: the steps before it are undone");
        self.ran.push(entry.name);
        self.course = Course::Undoing(answer.clone());
        self.undo(&table, answer).await
    }

    /// Keeps what is known of a step and could not be committed, if it was a cancel that came first.
    pub(super) fn keep(&mut self, error: &Error, in_hand: InHand) {
        if let Error::LeaseLost { .. } = error {
            self.in_hand = Some(in_hand);
        }
    }

    /// Whether the key is still ours and only a cancel keeps it from going forward. It is cancelled for this run too then.
    pub(super) async fn is_cancelled(&mut self) -> Result<bool, Error> {
        let lease = self.held.lease();
        let found = self.limit().patiently(|| self.inner.store.settle(lease)).await?;
        let ours = found.filter(|found| {
            let stands = (found.fence, found.status, &*found.recovery_point);
            stands == (lease.fence, Status::Running, &*self.at)
        });
        let Some(answer) = ours.and_then(|found| found.answer) else { return Ok(false) };
        self.course = Course::Cancelled(self.opened_answer(answer)?);
        Ok(true)
    }

    /// A cancelled key: turned round as soon as it is known what its next step has done outside, and undone.
    pub(super) async fn turn_back(
        &mut self,
        table: &Table<S::Conn, A, In>,
        answer: Response,
    ) -> Result<Stepped, Error> {
        let entry = self.next(table).await?;
        let reached = match self.in_hand.take() {
            Some(InHand::Reached(sealed)) => Some(sealed),
            Some(InHand::Refused) => None,
            None => self.settled(entry).await?,
        };
        self.turn(entry, entry.cancelled(), reached.as_ref(), None).await?;
        tracing::debug!(step = entry.name, "cancelled: the steps that were reached are undone");
        self.ran.extend(reached.map(|_| entry.name));
        self.course = Course::Undoing(answer.clone());
        self.undo(table, answer).await
    }

    /// What a foreign step has reached of which nobody knows: it is asked once more, with its effect key. A look that finds
    /// nothing would prove nothing, while a call of an earlier attempt may still arrive.
    async fn settled(&mut self, entry: &StepEntry<S::Conn, A, In>) -> Result<Option<Sealed>, Error> {
        let Run::Foreign(run) = &entry.run else { return Ok(None) };
        // The last one is counted and has not begun.
        if self.attempts - 1 <= self.failures {
            return Ok(None);
        }
        match self.call(entry, run).await {
            Ok(reached @ Reached::Point { .. }) => self.seal(&reached).map(Some),
            // It has no undo, and the answer is the cancel's.
            Ok(Reached::Response(_)) => Ok(None),
            // It has done nothing, for good.
            Err(stop) => self.refused(entry, stop).map(|_| None),
        }
    }

    /// From here on the key is undone: for this answer of a step, or for the one of a cancel. What is in hand is
    /// committed with it.
    async fn turn(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        point: String,
        in_hand: Option<&Sealed>,
        answer: Option<&Response>,
    ) -> Result<(), Error> {
        let sealed = answer.map(|answer| self.sealed(answer)).transpose()?;
        let mut backoff = Backoff::until(self.held.until());
        let mut in_doubt = false;
        let (at, sent) = loop {
            let sent = Instant::now();
            let reached = in_hand.map(|sealed| self.advance(entry, sealed));
            let turn = Advance {
                prev: reached.as_ref().map_or(&self.at, Advance::name),
                step: entry.name,
                seq: self.seq + 1 + i32::from(reached.is_some()),
                attempts: if reached.is_some() { 1 } else { self.attempts },
                first_attempt_at: reached.is_none().then_some(self.first_attempt_at),
                to: To::Point { name: &point, data: &[] },
                lease: self.inner.settings.lease,
            };
            let walk: Vec<Advance<'_>> = reached.into_iter().chain([turn]).collect();
            let turn = self.inner.store.turn(self.held.lease(), &walk, sealed.as_ref());
            let failed = match self.limit().once(turn).await {
                Ok(at) => break (at, sent),
                // Our own earlier statement may have come through after all.
                Err(StoreError::LeaseLost) if !in_doubt => return Err(self.fenced()),
                Err(error) => error,
            };
            in_doubt |= matches!(failed, StoreError::InDoubt { .. });
            if in_doubt && let Some(at) = self.settle(Status::Undoing, &point).await? {
                break (at, sent);
            }
            if matches!(failed, StoreError::LeaseLost) {
                return Err(self.fenced());
            }
            backoff.after(failed).await?;
        };
        self.stands(point, 1 + usize::from(in_hand.is_some()), at, sent);
        Ok(())
    }
}
