//! What a step has reached, on its way into the database, and what becomes of a reply that is lost on that way.

use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::advance::Advance;
use crate::outbox::StagedJob;
use crate::outcome::Reached;
use crate::record::Status;
use crate::workflow::StepEntry;
use crate::{Error, Key, RecoveryPoint, Store, StoreError};

use super::Inner;
use super::course::Course;
use super::held::Held;
use super::patience::{Backoff, Limit};
use super::reach::{Reach, Stepped};
use super::run::RunOf;
use super::seal::{Sealed, Sealer};
use super::turn::InHand;

/// The longest text that is kept of an error, in bytes.
const MAX_ERROR: usize = 4096;

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    /// While the key is ours, patience is the lease.
    pub(super) fn limit(&self) -> Limit {
        Limit { call: self.inner.settings.call_limit(), until: self.held.until() }
    }

    /// Commits what was reached, and settles a doubt. The inner error: nothing of it has
    /// happened, and the key is still ours.
    pub(super) async fn committed(
        &self,
        tx: S::Tx,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        buried: Option<&Key>,
    ) -> Result<Result<DateTime<Utc>, StoreError>, Error> {
        match self.commit(tx, walk, jobs, buried).await {
            Err(StoreError::LeaseLost) => Err(self.fenced()),
            Err(error @ StoreError::InDoubt { .. }) => {
                let Some(last) = walk.last() else { return Ok(Err(error)) };
                let status = if last.response().is_some() { Status::Finished } else { self.status() };
                Ok(self.settle(status, last.name()).await?.ok_or(error))
            }
            committed => Ok(committed),
        }
    }

    async fn commit(
        &self,
        mut tx: S::Tx,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        buried: Option<&Key>,
    ) -> Result<DateTime<Utc>, StoreError> {
        let (store, limit) = (&self.inner.store, self.limit());
        let lease = self.held.lease();
        let advanced = match self.course {
            Course::Undoing(_) => limit.once(store.undo_in(&mut tx, lease, walk, jobs, buried)).await,
            _ => limit.once(store.advance_in(&mut tx, lease, walk, jobs)).await,
        };
        match advanced {
            Ok(at) => limit.once(store.commit(tx)).await.map(|()| at),
            // Without a COMMIT sent, a broken connection is no doubt. It is dropped, not asked to roll back.
            Err(StoreError::InDoubt { doing, source }) => Err(StoreError::Away { doing, source }),
            Err(error) => {
                self.rollback(tx).await;
                Err(error)
            }
        }
    }

    pub(super) async fn rollback(&self, tx: S::Tx) {
        let rollback = async {
            self.inner.store.rollback(tx).await;
            Ok(())
        };
        // The database rolls back by itself when the connection is gone.
        let _ = self.limit().once(rollback).await;
    }

    /// Stores what was reached, as a commit of its own.
    pub(super) async fn persist(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        reached: Reached,
    ) -> Result<Stepped, Error> {
        let sealed = self.seal(&reached)?;
        self.persist_sealed(entry, reached, sealed).await
    }

    pub(super) async fn persist_sealed(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        reached: Reached,
        sealed: Sealed,
    ) -> Result<Stepped, Error> {
        match self.written(entry, &sealed).await {
            Ok((at, sent)) => Ok(self.moved(entry, reached, Vec::new(), at, sent)),
            Err(error) => {
                self.keep(&error, InHand::of(sealed));
                Err(error)
            }
        }
    }

    async fn written(
        &self,
        entry: &StepEntry<S::Conn, A, In>,
        sealed: &Sealed,
    ) -> Result<(DateTime<Utc>, Instant), Error> {
        let mut backoff = Backoff::until(self.held.until());
        // When the first of those was sent of which nobody knows what became: the lease may be counted from there.
        let mut in_doubt = None;
        loop {
            let sent = Instant::now();
            let advance = self.inner.store.advance(self.held.lease(), self.advance(entry, sealed));
            let failed = match self.limit().once(advance).await {
                Ok(at) => return Ok((at, sent)),
                // Our own earlier statement may have come through after all.
                Err(StoreError::LeaseLost) if in_doubt.is_none() => return Err(self.fenced()),
                Err(error) => error,
            };
            if matches!(failed, StoreError::InDoubt { .. }) {
                in_doubt = in_doubt.or(Some(sent));
            }
            if let Some(sent) = in_doubt
                && let Some(at) = self.settle(sealed.status(), sealed.name()).await?
            {
                return Ok((at, sent));
            }
            if matches!(failed, StoreError::LeaseLost) {
                return Err(self.fenced());
            }
            backoff.after(failed).await?;
        }
    }

    /// The status of the key while it is ours.
    fn status(&self) -> Status {
        if let Course::Undoing(_) = self.course { Status::Undoing } else { Status::Running }
    }

    /// Whether an advance to there whose reply was lost has happened: the row is read under its lock, so that whoever was
    /// about to commit it has done so or never will. `None`: it has not, and the key is still ours.
    pub(super) async fn settle(&self, status: Status, point: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let lease = self.held.lease();
        let found = self.limit().patiently(|| self.inner.store.settle(lease)).await?;
        let Some(found) = found.filter(|found| found.fence == lease.fence) else { return Err(self.fenced()) };
        if found.status == status && found.recovery_point == point {
            return Ok(Some(found.first_attempt_at.unwrap_or(self.first_attempt_at)));
        }
        match found.status == self.status() && found.recovery_point == self.at {
            true => Ok(None),
            false => Err(self.fenced()),
        }
    }

    pub(super) fn moved(
        &mut self,
        entry: &StepEntry<S::Conn, A, In>,
        reached: Reached,
        jobs: Vec<StagedJob>,
        at: DateTime<Utc>,
        sent: Instant,
    ) -> Stepped {
        self.held.extended(sent);
        (self.seq, self.attempts, self.failures, self.first_attempt_at) = (self.seq + 1, 1, 0, at);
        self.step_since = tokio::time::Instant::now();
        self.ran.push(entry.name);
        let reach = match reached {
            Reached::Point { name, data } => {
                self.at = name.to_owned();
                self.data.clone_from(&data);
                Reach::Point { name: name.to_owned(), data }
            }
            Reached::Response(response) => Reach::Response(response),
        };
        tracing::debug!(step = entry.name, ?reach, "reached");
        Stepped { step: Some(entry.name), reach, jobs }
    }

    pub(super) async fn give_back(&self, why: Option<&Error>) {
        give_back(&*self.inner, &self.held, why).await;
    }

    pub(super) fn seal(&self, reached: &Reached) -> Result<Sealed, Error> {
        let sealer = Sealer { codec: &*self.inner.settings.codec, key: &self.key };
        let point = reached.name().to_owned();
        sealer.seal(reached).map_err(|source| Error::Data { key: self.key.clone(), point, source })
    }

    pub(super) fn advance<'a>(
        &'a self,
        entry: &'a StepEntry<S::Conn, A, In>,
        sealed: &'a Sealed,
    ) -> Advance<'a> {
        Advance {
            prev: &self.at,
            step: entry.name,
            seq: self.seq + 1,
            attempts: self.attempts,
            first_attempt_at: Some(self.first_attempt_at),
            to: sealed.as_to(self.inner.settings.retention),
            lease: self.inner.settings.lease,
        }
    }
}

/// Gives a lease back, with the reason. Where that fails it runs out by itself.
pub(super) async fn give_back<S: Store, A>(inner: &Inner<S, A>, held: &Held, why: Option<&Error>) {
    let (lease, why) = (held.lease(), why.map(|why| described(why)));
    let limit = Limit { call: inner.settings.call_limit(), until: held.until() };
    if let Err(error) = limit.patiently(|| inner.store.release(lease, why.as_deref())).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the lease was not given back; it runs out");
    }
}

/// An error and its sources, as one line.
pub(super) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text.truncate(text.floor_char_boundary(MAX_ERROR));
    text
}
