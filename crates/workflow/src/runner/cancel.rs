//! The cancel: a wish from outside, made durable by one statement. Who carries it out is whoever has the key, or claims
//! it next.
//!
//! What if the process dies here? Before the statement: nothing has happened. After it: the key goes no further forward,
//! and every claim of it is one that takes it back.

use std::future::Future;
use std::sync::Arc;

use crate::advance::StoredResponse;
use crate::point::FINISHED;
use crate::record::{Cancel, Record};
use crate::{Error, Key, Response, Store};

use super::answered::Answered;
use super::call::{joined, registered, resume};
use super::claim::{self, Known};
use super::seal::Sealer;
use super::{Inner, Runner};

impl<S: Store, A: Send + Sync + 'static> Runner<S, A> {
    /// Cancels a key: no step takes it further forward, the undos of the steps that it has reached run, and then this
    /// answer is stored; that of the workflow ([`Builder::cancelled`](crate::Builder::cancelled)) if it is `None`.
    ///
    /// A race with the run has one winner, in the database: once this has succeeded or says [`Error::InProgress`], no
    /// other answer will ever be stored; and once the key has passed its point of no return
    /// ([`Builder::point_of_no_return`](crate::Builder::point_of_no_return)), is finished or is being undone already, it is
    /// [`Error::TooLate`] and nothing has changed. Cancelled twice, a key keeps the first answer, and goes on again if it
    /// waits or needs attention.
    ///
    /// A key that nobody runs is claimed and undone by this call. A run that has the key sees the cancel at the end of its
    /// step, and is told by [`cancellation`](crate::Foreign::cancellation); then this call returns [`Error::InProgress`].
    /// A foreign step of which nobody knows whether it has happened is settled first, by one more attempt with its effect
    /// key, and then undone if it has.
    ///
    /// # Errors
    /// [`Error::TooLate`], [`Error::UnknownKey`], [`Error::UnknownPoint`]: nothing has changed. Those of
    /// [`resume`](Self::resume): the key is cancelled, and whoever claims it next goes on with that.
    ///
    /// # Cancel safety
    /// As for [`run`](Self::run).
    pub fn cancel(
        &self,
        key: Key,
        answer: Option<Response>,
    ) -> impl Future<Output = Result<Answered, Error>> + Send + use<S, A> {
        let inner = self.0.clone();
        async move {
            let asked = tokio::spawn(ask(inner.clone(), key.clone(), answer));
            joined(asked.await)?;
            resume(inner, key).await
        }
    }
}

/// Makes the wish durable.
async fn ask<S: Store, A: Send + Sync + 'static>(
    inner: Arc<Inner<S, A>>,
    key: Key,
    answer: Option<Response>,
) -> Result<(), Error> {
    let record = found(&inner, &key).await?;
    let known = registered(&inner, &record.workflow)?.known;
    let answer = sealed(&inner, &key, &answer.unwrap_or_else(|| known.cancelled.clone()))?;
    let cancel = Cancel {
        scope: key.scope(),
        value: key.value(),
        workflow: known.workflow,
        points: &known.cancellable,
        answer: &answer,
    };
    if claim::limit(&inner).patiently(|| inner.store.cancel(cancel)).await? {
        inner.registry.cancelled(record.id);
        return Ok(());
    }
    why_not(&known, &key, found(&inner, &key).await?)
}

/// Why a key could not be cancelled; no error if it is already.
fn why_not(known: &Known, key: &Key, record: Record) -> Result<(), Error> {
    let (key, point) = (key.clone(), record.recovery_point);
    if record.cancel_requested_at.is_some() {
        return Ok(());
    }
    match point == FINISHED || known.goes_on_from(&point) {
        true => Err(Error::TooLate { key, point }),
        false => Err(Error::UnknownPoint { key, workflow: record.workflow, point }),
    }
}

async fn found<S: Store, A>(inner: &Inner<S, A>, key: &Key) -> Result<Record, Error> {
    let found = claim::limit(inner).patiently(|| inner.store.find(key)).await?;
    found.ok_or_else(|| Error::UnknownKey { key: key.clone() })
}

fn sealed<S: Store, A>(inner: &Inner<S, A>, key: &Key, answer: &Response) -> Result<StoredResponse, Error> {
    let sealer = Sealer { codec: &*inner.settings.codec, key };
    let sealed = sealer.seal_response(answer);
    sealed.map_err(|source| Error::Data { key: key.clone(), point: FINISHED.to_owned(), source })
}
