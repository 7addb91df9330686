//! How a runner is put together.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::{Codec, Plain};
use crate::error::BuildError;
use crate::{DefinitionError, Observer, RecoveryPoint, Store};

use super::drive::Registered;
use super::held::Registry;
use super::met::Met;
use super::watch::Watch;
use super::{Defines, Inner, Runner, Settings, heartbeat};

/// Long enough for a step of ten seconds and a pause of the process; a crashed runner's keys wait so long.
const LEASE: Duration = Duration::from_secs(30);

/// How long a finished key is replayed at least: Brandur Leach's 72 hours, for clients that retry over a weekend.
const RETENTION: Duration = Duration::from_secs(72 * 60 * 60);

/// How long a database that is away is waited for before a key is claimed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Settings of a [`Runner`], and the workflows that it knows.
#[must_use]
pub struct RunnerBuilder<S: Store, A> {
    store: S,
    app: Arc<A>,
    workflows: HashMap<&'static str, Registered<S, A>>,
    by_type: HashMap<TypeId, &'static str>,
    settings: Settings,
    heartbeat: Option<Duration>,
    wrong: Option<DefinitionError>,
}

impl<S: Store, A> fmt::Debug for RunnerBuilder<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerBuilder").finish_non_exhaustive()
    }
}

impl<S: Store, A: Send + Sync + 'static> RunnerBuilder<S, A> {
    pub(super) fn new(store: S, app: Arc<A>) -> Self {
        let settings = Settings {
            namespace: "workflow".to_owned(),
            digest_secret: Vec::new(),
            codec: Arc::new(Plain),
            lease: LEASE,
            heartbeat: LEASE / 3,
            retention: RETENTION,
            patience: PATIENCE,
            watch: Watch::default(),
        };
        Self {
            store,
            app,
            workflows: HashMap::new(),
            by_type: HashMap::new(),
            settings,
            heartbeat: None,
            wrong: None,
        }
    }

    /// Registers a workflow by the function that defines it.
    pub fn with<In: RecoveryPoint, W: Defines<S::Conn, A, In>>(mut self, workflow: W) -> Self {
        let workflow = workflow.define();
        let name = workflow.name();
        let twice = self.workflows.insert(name, Registered::new(workflow.0.clone())).is_some();
        self.by_type.insert(TypeId::of::<W>(), name);
        let wrong = workflow.verify().err();
        let wrong = wrong.or(twice.then_some(DefinitionError::DuplicateWorkflow { workflow: name }));
        self.wrong = self.wrong.or(wrong);
        self
    }

    /// The namespace of the effect keys: part of each, so that two services that share a payment account never
    /// send the same one. A key under way keeps what it was claimed with; but a key whose row was lost gets its old
    /// effect keys again only under the same namespace, so it is better never changed. `workflow` if it is not given.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.settings.namespace = namespace.into();
        self
    }

    /// The secret that keys the digest of a request, so that who reads the database cannot guess a request from
    /// it. It is not rotated: with another secret every stored key is a mismatch. Empty if it is not given.
    pub fn digest_secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.settings.digest_secret = secret.into();
        self
    }

    /// Seals what is stored. Nothing is sealed if it is not given.
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.settings.codec = Arc::new(codec);
        self
    }

    /// How long a claim holds without a heartbeat. 30 s if it is not given.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// How often held leases are extended. A third of the lease if it is not given.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = Some(interval);
        self
    }

    /// How long a finished key is replayed at least: from then on [`Runner::reap`] may forget it, and nothing else
    /// does. It is stored when the key is finished, so that another retention counts for keys that finish later. It
    /// should be longer than clients retry. 72 hours if it is not given.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.settings.retention = retention;
        self
    }

    /// How long a database that is away is waited for before a key is claimed; after that, it is the lease. 5 s
    /// if it is not given.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Who is told what the runs do. Called several times, each observer is told, in this order. Without one, nothing
    /// is measured.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.watch.add(observer);
        self
    }

    /// The runner, with its heartbeat's thread.
    ///
    /// # Errors
    /// [`BuildError`]: a wrong definition, a lease that cannot be kept, no thread to be had.
    pub fn build(mut self) -> Result<Runner<S, A>, BuildError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong.into());
        }
        let lease = self.settings.lease;
        self.settings.heartbeat = self.heartbeat.unwrap_or(lease / 3);
        if self.settings.heartbeat.is_zero() || self.settings.heartbeat * 3 > lease {
            return Err(BuildError::Lease { lease, heartbeat: self.settings.heartbeat });
        }
        let registry = Arc::new(Registry::new(lease));
        heartbeat::start(self.store.clone(), registry.clone(), self.settings.heartbeat)
            .map_err(BuildError::Heartbeat)?;
        Ok(Runner(Arc::new(Inner {
            store: self.store,
            app: self.app,
            workflows: self.workflows,
            by_type: self.by_type,
            settings: self.settings,
            registry,
            met: Met::new(),
        })))
    }
}
