//! The runner: loads a key, skips completed steps, persists each new recovery point and stores the response.
//! All rules are here and in the files beside this one; statements are in the stores.

mod adopt;
mod again;
mod answered;
mod attempt;
mod builder;
mod call;
mod cancel;
mod claim;
mod course;
mod drive;
mod heartbeat;
mod held;
mod inspect;
mod met;
mod panicked;
mod patience;
mod persist;
mod phase;
mod reach;
mod run;
mod seal;
mod shutdown;
mod turn;
mod undo;
mod watch;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use adopt::Adopt;
pub use answered::Answered;
pub use builder::RunnerBuilder;
pub use call::{Call, Handle};
pub use inspect::{KeyStatus, Stranded};
pub use reach::{Reach, Stepped};

use crate::{Codec, Error, Key, RecoveryPoint, Store, Workflow};
use drive::Registered;
use held::Registry;
use met::Met;
use watch::Watch;

/// What names a workflow at the call: the function that defines it.
///
/// The function is the handle: `.with(checkout)` registers it, `runner.run(checkout, …)` is typed by it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a workflow of this runner",
    note = "pass the function that returns it: `.with(checkout)`, `runner.run(checkout, key, cart)`"
)]
pub trait Defines<C, A, In>: Copy + Send + Sync + 'static {
    /// The workflow.
    fn define(self) -> Workflow<C, A, In>;
}

impl<F, C, A, In> Defines<C, A, In> for F
where
    F: Fn() -> Workflow<C, A, In> + Copy + Send + Sync + 'static,
{
    fn define(self) -> Workflow<C, A, In> {
        self()
    }
}

/// Runs workflows over a store. Cheap to clone; clones share everything.
///
/// `S` is the store, `A` the application: whatever the steps need besides the database, at `cx.app`.
pub struct Runner<S: Store, A>(Arc<Inner<S, A>>);

pub(crate) struct Inner<S: Store, A> {
    store: S,
    app: Arc<A>,
    workflows: HashMap<&'static str, Registered<S, A>>,
    by_type: HashMap<TypeId, &'static str>,
    settings: Settings,
    registry: Arc<Registry>,
    met: Met,
}

/// The shortest limit of one call of the store.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What the builder was told.
struct Settings {
    namespace: String,
    digest_secret: Vec<u8>,
    codec: Arc<dyn Codec>,
    lease: Duration,
    heartbeat: Duration,
    retention: Duration,
    patience: Duration,
    watch: Watch,
}

impl Settings {
    /// How long one call of the store may take: with half a lease left there is time to ask what came of it. A database
    /// that is only slow must not be met with ever new connections, so a short lease makes nobody impatient.
    fn call_limit(&self) -> Duration {
        (self.lease / 2).max(CALL_LIMIT)
    }
}

impl<S: Store, A> Clone for Runner<S, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Store, A> fmt::Debug for Runner<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut workflows: Vec<_> = self.0.workflows.keys().collect();
        workflows.sort_unstable();
        f.debug_struct("Runner").field("workflows", &workflows).finish_non_exhaustive()
    }
}

impl<S: Store, A> Drop for Inner<S, A> {
    fn drop(&mut self) {
        self.registry.close();
    }
}

impl<S: Store, A: Send + Sync + 'static> Runner<S, A> {
    /// Begins a runner over this store, for this application.
    pub fn builder(store: S, app: impl Into<Arc<A>>) -> RunnerBuilder<S, A> {
        RunnerBuilder::new(store, app.into())
    }

    /// The application.
    pub fn app(&self) -> &A {
        &self.0.app
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// Runs the workflow for this key to its response: claims the key, skips the steps that are done, runs the
    /// others; or returns the stored response of a finished key, byte for byte.
    ///
    /// The request is the same if it is written as the same JSON, white space and the order of members aside. So a type
    /// that gains a member makes a retry over a deploy a mismatch, unless the member is left out when it is empty
    /// (`skip_serializing_if`); and a `HashSet`, whose order is by chance, does not belong in a request.
    ///
    /// # Errors
    /// Every [`Error`]. After [`Error::Step`], [`Error::LeaseLost`] and [`Error::Store`] the same call goes on where
    /// this one stopped; [`Error::InProgress`] says when to ask again.
    ///
    /// # Cancel safety
    /// The future does nothing until it is polled; from then on the run is a task of its own. Dropping the future
    /// does not stop it: a client that hangs up changes nothing.
    pub fn run<In, W>(
        &self,
        workflow: W,
        key: Key,
        request: In,
    ) -> impl Future<Output = Result<Answered, Error>> + Send + use<S, A, In, W>
    where
        In: RecoveryPoint,
        W: Defines<S::Conn, A, In>,
    {
        self.call(workflow, key, request).run()
    }

    /// Claims the key and runs the workflow in the background: returns as soon as the key is accepted, which means
    /// that its row is committed.
    ///
    /// # Errors
    /// Those of [`run`](Self::run) that come before the first step. The others come from [`Handle::wait`].
    ///
    /// # Cancel safety
    /// As for [`run`](Self::run).
    pub fn start<In, W>(
        &self,
        workflow: W,
        key: Key,
        request: In,
    ) -> impl Future<Output = Result<Handle, Error>> + Send + use<S, A, In, W>
    where
        In: RecoveryPoint,
        W: Defines<S::Conn, A, In>,
    {
        self.call(workflow, key, request).start()
    }

    /// A call with more to say than [`run`](Self::run) takes: where the request came in.
    pub fn call<In, W>(&self, workflow: W, key: Key, request: In) -> Call<S, A, In>
    where
        In: RecoveryPoint,
        W: Defines<S::Conn, A, In>,
    {
        // A fn item has a type of its own; a fn pointer has not, and is asked.
        let known = (size_of::<W>() == 0).then(|| self.0.by_type.get(&TypeId::of::<W>()).copied()).flatten();
        Call::new(self.0.clone(), known.unwrap_or_else(|| workflow.define().name()), key, request)
    }

    /// Goes on with a key from what is stored: no request is needed.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::UnknownKey`].
    ///
    /// # Cancel safety
    /// As for [`run`](Self::run).
    pub fn resume(&self, key: Key) -> impl Future<Output = Result<Answered, Error>> + Send + use<S, A> {
        call::resume(self.0.clone(), key)
    }

    /// Runs exactly one step of an unfinished key and gives the lease back: for tests and for who wants to look.
    ///
    /// # Errors
    /// As [`resume`](Self::resume). Of a finished key, its response is what was reached, by no step.
    ///
    /// # Cancel safety
    /// As for [`run`](Self::run).
    pub fn step(&self, key: Key) -> impl Future<Output = Result<Stepped, Error>> + Send + use<S, A> {
        call::step(self.0.clone(), key)
    }
}
