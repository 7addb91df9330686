//! A call: a request for a key, as a task of its own.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::digest::{Origin, RequestError};
use crate::{Error, Key, RecoveryPoint, Store};

use super::Inner;
use super::adopt::Adopt;
use super::answered::Answered;
use super::claim::{self, Ask, Claim};
use super::drive::Registered;
use super::panicked::Panicked;
use super::reach::{Reach, Stepped};

/// A run in the background.
#[derive(Debug)]
pub struct Handle {
    task: JoinHandle<Result<Answered, Error>>,
    /// The key was finished before.
    replays: bool,
}

impl Handle {
    /// Whether there is nothing to wait for: the key was finished before, or the run has ended.
    pub fn is_finished(&self) -> bool {
        self.replays || self.task.is_finished()
    }

    /// Waits for the response.
    ///
    /// # Errors
    /// As [`Runner::run`](super::Runner::run).
    ///
    /// # Cancel safety
    /// Dropping the future or the handle does not stop the run.
    pub async fn wait(self) -> Result<Answered, Error> {
        joined(self.task.await)
    }
}

/// A request for a key that is not running yet: [`Runner::call`](super::Runner::call).
#[must_use]
pub struct Call<S: Store, A, In> {
    inner: Arc<Inner<S, A>>,
    workflow: &'static str,
    key: Key,
    request: In,
    origin: Origin,
}

/// What is asked of a key, with what answers it.
pub(super) type Asked<S, A> = (Arc<Inner<S, A>>, Registered<S, A>, Ask);

impl<S: Store, A, In> fmt::Debug for Call<S, A, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("workflow", &self.workflow)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> Call<S, A, In> {
    pub(super) fn new(inner: Arc<Inner<S, A>>, workflow: &'static str, key: Key, request: In) -> Self {
        Self { inner, workflow, key, request, origin: Origin::default() }
    }

    /// Where the request came in: it is stored, and part of what makes it the same request.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// As [`Runner::run`](super::Runner::run).
    ///
    /// # Errors
    /// As [`Runner::run`](super::Runner::run).
    pub async fn run(self) -> Result<Answered, Error> {
        let (accepted, _) = oneshot::channel();
        joined(self.spawn(accepted)?.await)
    }

    /// As [`Runner::start`](super::Runner::start).
    ///
    /// # Errors
    /// As [`Runner::start`](super::Runner::start).
    pub async fn start(self) -> Result<Handle, Error> {
        let (accepted, acceptance) = oneshot::channel();
        let task = self.spawn(accepted)?;
        match acceptance.await {
            Ok(replays) => Ok(Handle { task, replays }),
            // It ended before it was accepted: with an error.
            Err(_) => {
                let ended = |answered| Handle { task: tokio::spawn(async { Ok(answered) }), replays: true };
                joined(task.await).map(ended)
            }
        }
    }

    /// A key that another system has begun: it is planted where it stood there, instead of being run from its start.
    /// Key, request and origin are those of the request by which its client will ask again.
    pub fn adopt(self) -> Adopt<S, A, In> {
        Adopt::new(self)
    }

    fn spawn(self, accepted: oneshot::Sender<bool>) -> Result<JoinHandle<Result<Answered, Error>>, Error> {
        let (inner, workflow, ask) = self.ask()?;
        let span = span(workflow.known.workflow, &ask.key);
        Ok(tokio::spawn(finish(inner, workflow, ask, accepted).instrument(span)))
    }

    /// What is asked of the key, of which workflow: checked before anything is claimed.
    pub(super) fn ask(self) -> Result<Asked<S, A>, Error> {
        let workflow = registered(&self.inner, self.workflow)?;
        if workflow.known.request != TypeId::of::<In>() {
            return Err(Error::NotRegistered { workflow: self.workflow.to_owned() });
        }
        self.origin.check()?;
        let request = serde_json::to_vec(&self.request).map_err(RequestError::from)?;
        serde_json::from_slice::<In>(&request).map_err(RequestError::Unreadable)?;
        let ask = Ask { key: self.key, request: Some(request), origin: self.origin };
        Ok((self.inner, workflow, ask))
    }
}

async fn finish<S: Store, A: Send + Sync + 'static>(
    inner: Arc<Inner<S, A>>,
    workflow: Registered<S, A>,
    ask: Ask,
    accepted: oneshot::Sender<bool>,
) -> Result<Answered, Error> {
    // Boxed: the future of the whole run is moved into its task, and would be as large as that of the claim.
    let claim = Box::pin(claim::claim(&inner, &workflow.known, ask)).await;
    inner.settings.watch.claim(workflow.known.workflow, &claim);
    let claim = claim?;
    let _ = accepted.send(matches!(claim, Claim::Replay(_)));
    match claim {
        Claim::Replay(response) => Ok(Answered::by_replay(response)),
        Claim::Ours(claimed) => workflow.drive.finish(inner, *claimed).await,
    }
}

pub(super) async fn resume<S, A>(inner: Arc<Inner<S, A>>, key: Key) -> Result<Answered, Error>
where
    S: Store,
    A: Send + Sync + 'static,
{
    let task = async move {
        match stored(&inner, key).await? {
            (_, Claim::Replay(response)) => Ok(Answered::by_replay(response)),
            (workflow, Claim::Ours(claimed)) => workflow.drive.finish(inner, *claimed).await,
        }
    };
    joined(tokio::spawn(task).await)
}

pub(super) async fn step<S, A>(inner: Arc<Inner<S, A>>, key: Key) -> Result<Stepped, Error>
where
    S: Store,
    A: Send + Sync + 'static,
{
    let task = async move {
        match stored(&inner, key).await? {
            (_, Claim::Replay(response)) => {
                Ok(Stepped { step: None, reach: Reach::Response(response), jobs: Vec::new() })
            }
            (workflow, Claim::Ours(claimed)) => workflow.drive.step(inner, *claimed).await,
        }
    };
    joined(tokio::spawn(task).await)
}

/// Claims a key by what is stored of it.
async fn stored<S: Store, A: Send + Sync + 'static>(
    inner: &Inner<S, A>,
    key: Key,
) -> Result<(Registered<S, A>, Claim), Error> {
    let found = claim::limit(inner).patiently(|| inner.store.find(&key)).await?;
    let Some(record) = found else { return Err(Error::UnknownKey { key }) };
    let workflow = registered(inner, &record.workflow)?;
    let span = span(workflow.known.workflow, &key);
    let ask = Ask { key, request: None, origin: Origin::default() };
    let claim = claim::claim(inner, &workflow.known, ask).instrument(span).await;
    inner.settings.watch.claim(workflow.known.workflow, &claim);
    claim.map(|claim| (workflow, claim))
}

pub(super) fn registered<S: Store, A>(
    inner: &Inner<S, A>,
    workflow: &str,
) -> Result<Registered<S, A>, Error> {
    let registered = inner.workflows.get(workflow).cloned();
    registered.ok_or_else(|| Error::NotRegistered { workflow: workflow.to_owned() })
}

fn span(workflow: &str, key: &Key) -> tracing::Span {
    tracing::info_span!("run", workflow, key = %key)
}

/// What is left to go wrong with the task itself: a panic outside the steps, or a runtime that shuts down.
pub(super) fn joined<T>(out: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    out.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => Err(Error::Panicked(Panicked::of(&*panic).to_string())),
        Err(_) => Err(Error::Interrupted),
    })
}
