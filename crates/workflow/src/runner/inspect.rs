//! Looking at keys, and at what a new build would leave behind; letting one go on, and forgetting those that are over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::failure::FailedAttempt;
use crate::record::{Filter, PointRow, Record, Status};
use crate::seam::{Backlog, Census};
use crate::{Error, FINISHED, Key, Response, Store, StoreError};

use super::seal::Sealer;
use super::{Inner, Runner};

/// A key as it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyStatus {
    /// The key.
    pub key: Key,
    /// Its row.
    pub id: Uuid,
    /// The workflow that it runs.
    pub workflow: String,
    /// The workflow's version.
    pub version: i32,
    /// The status.
    pub status: Status,
    /// The recovery point that it has reached.
    pub recovery_point: String,
    /// The fencing token.
    pub fence: i64,
    /// Claims since the last progress that did not end in a release: crashes, and the run under way.
    pub attempts: i32,
    /// The next step's attempts.
    pub step_attempts: i32,
    /// When the next step was first attempted.
    pub first_attempt_at: Option<DateTime<Utc>>,
    /// When the key was first claimed.
    pub created_at: DateTime<Utc>,
    /// When the key was last claimed.
    pub last_run_at: DateTime<Utc>,
    /// When a cancel was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When the response was stored.
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether a run holds its lease just now.
    pub leased: bool,
    /// How long a waiting key still waits; zero for every other.
    pub wake_left: Duration,
    /// Why the last run stopped.
    pub last_error: Option<String>,
    /// The response of a finished key.
    pub response: Option<Response>,
}

/// Unfinished keys that stand where this build cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranded {
    /// Their workflow.
    pub workflow: String,
    /// Their recovery point.
    pub recovery_point: String,
    /// How many they are.
    pub keys: i64,
    /// Whether the workflow is registered: then it is the point that is not known.
    pub registered: bool,
}

impl<S: Store, A: Send + Sync + 'static> Runner<S, A> {
    /// The key as it stands, or `None` if it is unknown.
    ///
    /// # Errors
    /// [`Error::Store`], and [`Error::Data`] if its response does not open.
    pub async fn status(&self, key: &Key) -> Result<Option<KeyStatus>, Error> {
        self.0.store.find(key).await?.map(|record| opened(&self.0, record)).transpose()
    }

    /// Keys by filter, oldest first, a page at a time.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn list(&self, filter: &Filter) -> Result<Vec<KeyStatus>, Error> {
        self.0.store.list(filter).await?.into_iter().map(|record| opened(&self.0, record)).collect()
    }

    /// The points that these keys have reached, in the order of their rows and numbers.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn journal(&self, keys: &[Uuid]) -> Result<Vec<PointRow>, Error> {
        Ok(self.0.store.journal(keys).await?)
    }

    /// The attempts of these keys that reached nothing, each with its error, in the order of their rows, points and numbers.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn failed_attempts(&self, keys: &[Uuid]) -> Result<Vec<FailedAttempt>, Error> {
        Ok(self.0.store.failures(keys).await?)
    }

    /// Lets a key go on that is parked as `needs_attention` or waits: from now on it can be claimed, by
    /// [`resume`](Self::resume) or by whoever asks with its request. A step whose attempts are used up has one more.
    /// Returns whether there was such a key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn unpark(&self, key: &Key) -> Result<bool, Error> {
        Ok(self.0.store.unpark(key).await?)
    }

    /// Forgets finished keys, at most `limit` of them, in one commit: those whose retention
    /// ([`RunnerBuilder::retention`](crate::RunnerBuilder::retention)) is over, the longest expired ones first, each
    /// with its points, its failed attempts and its delivered jobs. From then on such a key is a new one: a request
    /// that comes with it is claimed and runs, whatever it asks for. Returns how many it were; fewer than `limit`
    /// means that there are no more just now.
    ///
    /// It never forgets a key that is not finished, or one with a job that is not delivered, however old. Only this
    /// forgets: an expired key is replayed until it is reaped. Keys of every workflow are forgotten, also of those that
    /// this runner does not know. Several processes may reap at once: none waits for the keys that another has in hand.
    ///
    /// The next life of a key makes its foreign calls by the effect keys of the last one, so that the other side, if
    /// it still knows them, does nothing twice; unless one of them was undone: then a tombstone stays, and the next
    /// life has effect keys of its own, since under the old ones the other side would answer with what was taken back.
    ///
    /// The idea is Brandur Leach's reaper. A `limit` of some hundreds keeps the transaction short: SQLite lets nobody
    /// else write meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`]. After [`StoreError::InDoubt`] nobody knows whether they are forgotten; to call it again does
    /// no harm.
    ///
    /// # Cancel safety
    /// Dropped, it has forgotten all of these keys or none.
    pub async fn reap(&self, limit: usize) -> Result<usize, Error> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let reaped = self.0.store.reap(limit).await?;
        Ok(usize::try_from(reaped).unwrap_or(usize::MAX))
    }

    /// How many unfinished keys stand where, those of other workflows included.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn census(&self) -> Result<Vec<Census>, Error> {
        Ok(self.0.store.census().await?)
    }

    /// What is not done yet, in the whole database.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        Ok(self.0.store.backlog().await?)
    }

    /// Which unfinished keys this build could not go on with: run it before a deploy. Empty is good.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn check(&self) -> Result<Vec<Stranded>, Error> {
        let census = self.0.store.census().await?;
        Ok(census.into_iter().filter_map(|standing| self.stranded(standing)).collect())
    }

    fn stranded(&self, standing: Census) -> Option<Stranded> {
        let workflow = self.0.workflows.get(&*standing.workflow);
        let known = workflow.is_some_and(|workflow| workflow.known.goes_on_from(&standing.recovery_point));
        (!known).then(|| Stranded {
            workflow: standing.workflow,
            recovery_point: standing.recovery_point,
            keys: standing.keys,
            registered: workflow.is_some(),
        })
    }
}

fn opened<S: Store, A>(inner: &Inner<S, A>, record: Record) -> Result<KeyStatus, Error> {
    let key = Key::new(record.scope, record.value).map_err(|e| StoreError::Damaged(e.to_string()))?;
    let sealer = Sealer { codec: &*inner.settings.codec, key: &key };
    let response = record.response.map(|stored| sealer.open_response(stored)).transpose();
    let response =
        response.map_err(|source| Error::Data { key: key.clone(), point: FINISHED.to_owned(), source })?;
    Ok(KeyStatus {
        key,
        id: record.id,
        workflow: record.workflow,
        version: record.version,
        status: record.status,
        recovery_point: record.recovery_point,
        fence: record.fence,
        attempts: record.attempts,
        step_attempts: record.step_attempts,
        first_attempt_at: record.first_attempt_at,
        created_at: record.created_at,
        last_run_at: record.last_run_at,
        cancel_requested_at: record.cancel_requested_at,
        finished_at: record.finished_at,
        leased: !record.lease_left.is_zero(),
        wake_left: record.wake_left,
        last_error: record.last_error,
        response,
    })
}
