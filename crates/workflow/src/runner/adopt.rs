//! Keys that another system has begun: planted where they stood there, and run from here on.

use std::fmt;

use uuid::Uuid;

use crate::advance::Advance;
use crate::digest::RequestError;
use crate::outcome::{Outcome, Reached};
use crate::point::STARTED;
use crate::record::{Lease, Status, Take};
use crate::{Error, RecoveryPoint, Response, Store};

use super::Inner;
use super::call::Call;
use super::claim::{self, Ask};
use super::drive::Registered;
use super::seal::{Sealed, Sealer};

/// A key that another system has begun, on its way in: [`Call::adopt`].
#[must_use]
pub struct Adopt<S: Store, A, In> {
    call: Call<S, A, In>,
    walk: Vec<Result<Reached, serde_json::Error>>,
}

impl<S: Store, A, In> fmt::Debug for Adopt<S, A, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adopt").field("call", &self.call).field("reached", &self.walk.len()).finish()
    }
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> Adopt<S, A, In> {
    pub(super) fn new(call: Call<S, A, In>) -> Self {
        Self { call, walk: Vec::new() }
    }

    /// It had reached this point there. Call it once for each point from the first on, in order: an undo is given the
    /// point that its own step has reached.
    pub fn reached<P: RecoveryPoint>(mut self, point: P) -> Self {
        self.walk.push(point.reached());
        self
    }

    /// It was answered there: this is what is replayed.
    pub fn answered(mut self, response: Response) -> Self {
        self.walk.push(Ok(Reached::Response(response)));
        self
    }

    /// Plants the key. No step runs; whoever asks for the key, or resumes it, goes on from there. Whether it was new
    /// here: a key that is here already, at any point but the first, stays as it is, so that this may be repeated.
    ///
    /// # Errors
    /// [`Error::UnknownPoint`] if no step leads along these points; [`Error::Mismatch`] if the key is here for another
    /// request; [`Error::InProgress`] while a run has it. After these and after [`Error::Store`] it may be called
    /// again.
    ///
    /// # Cancel safety
    /// A key whose planting was broken off stands at `started` until its lease has run out; the same call then goes on.
    pub async fn plant(self) -> Result<bool, Error> {
        let Self { call, walk } = self;
        let (inner, workflow, ask) = call.ask()?;
        let walk = walk.into_iter().collect::<Result<Vec<_>, _>>().map_err(RequestError::from)?;
        Planting { inner: &inner, workflow, walk }.plant(ask).await
    }
}

struct Planting<'a, S: Store, A> {
    inner: &'a Inner<S, A>,
    workflow: Registered<S, A>,
    walk: Vec<Reached>,
}

impl<S: Store, A: Send + Sync + 'static> Planting<'_, S, A> {
    async fn plant(self, ask: Ask) -> Result<bool, Error> {
        let key = ask.key.clone();
        let steps = self.steps(&ask)?;
        let sealer = Sealer { codec: &*self.inner.settings.codec, key: &key };
        let sealed = self.walk.iter().map(|reached| sealer.seal(reached)).collect::<Result<Vec<_>, _>>();
        let sealed = sealed.map_err(|source| Error::Data { key, point: STARTED.to_owned(), source })?;
        let Some(lease) = self.claimed(ask).await? else { return Ok(false) };
        self.walked(lease, &steps, &sealed).await?;
        if !self.walk.iter().any(|reached| matches!(reached, Reached::Response(_))) {
            self.inner.store.release(lease, None).await?;
        }
        Ok(true)
    }

    /// The steps that lead along the points.
    fn steps(&self, ask: &Ask) -> Result<Vec<&'static str>, Error> {
        let (mut at, mut steps) = (STARTED, Vec::with_capacity(self.walk.len()));
        for reached in &self.walk {
            let Some(step) = self.workflow.drive.step_between(at, reached.name()) else {
                return Err(Error::UnknownPoint {
                    key: ask.key.clone(),
                    workflow: self.workflow.known.workflow.to_owned(),
                    point: reached.name().to_owned(),
                });
            };
            steps.push(step);
            at = reached.name();
        }
        Ok(steps)
    }

    /// The lease of the key, if it is new or stands at its start with a walk before it; `None` if it is beyond that.
    async fn claimed(&self, ask: Ask) -> Result<Option<Lease>, Error> {
        let (inner, known) = (self.inner, &*self.workflow.known);
        let limit = claim::limit(inner);
        let claim_id = Uuid::new_v4();
        let new = claim::new_key_of(inner, known, &ask, claim_id)?;
        if limit.patiently(|| inner.store.insert(&new)).await?.is_some() {
            return Ok(Some(Lease { id: new.id, fence: 1 }));
        }
        let Some(found) = limit.patiently(|| inner.store.find(&ask.key)).await? else {
            return Err(Error::InProgress { key: ask.key, retry_after: inner.settings.lease });
        };
        if found.workflow != known.workflow || found.digest != new.digest {
            return Err(Error::Mismatch { key: ask.key, workflow: found.workflow });
        }
        if self.walk.is_empty() || found.status != Status::Running || found.recovery_point != STARTED {
            return Ok(None);
        }
        let take = Take {
            scope: ask.key.scope(),
            value: ask.key.value(),
            claim_id,
            workflow: known.workflow,
            digest: Some(&new.digest),
            points: &[STARTED],
            lease: inner.settings.lease,
        };
        match limit.patiently(|| inner.store.take(take)).await? {
            Some(taken) => Ok(Some(taken.lease)),
            None => Err(Error::InProgress { key: ask.key, retry_after: found.lease_left }),
        }
    }

    /// All points in one commit.
    async fn walked(&self, lease: Lease, steps: &[&str], sealed: &[Sealed]) -> Result<(), Error> {
        let (mut prev, mut seq, mut walk) = (STARTED, 0, Vec::with_capacity(sealed.len()));
        for (step, sealed) in steps.iter().zip(sealed) {
            seq += 1;
            walk.push(Advance {
                prev,
                step,
                seq,
                attempts: 1,
                first_attempt_at: None,
                to: sealed.as_to(self.inner.settings.retention),
                lease: self.inner.settings.lease,
            });
            prev = sealed.name();
        }
        if walk.is_empty() {
            return Ok(());
        }
        let store = &self.inner.store;
        let mut tx = store.begin().await?;
        match store.advance_in(&mut tx, lease, &walk, &[]).await {
            Ok(_) => Ok(store.commit(tx).await?),
            Err(error) => {
                store.rollback(tx).await;
                Err(error.into())
            }
        }
    }
}
