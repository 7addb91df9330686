//! Whose key it is, and everything that a route needs.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use workflow::{Key, Runner, Store};

use crate::keys::{self, KeyHeader, KeyHeaderError};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;
use crate::wait::Waiting;

/// The scope of a service that has opted out: all its callers share their keys.
pub const EVERYBODY: &str = "everybody";

type Scope = Arc<dyn Fn(&Parts) -> Result<String, Response> + Send + Sync>;

/// The contract of the header `Idempotency-Key` over a runner: the state of an axum router. Cheap to clone.
pub struct Idempotency<S: Store, A> {
    pub(crate) runner: Runner<S, A>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) waiting: Arc<Waiting>,
    scope: Scope,
}

impl<S: Store, A> Clone for Idempotency<S, A> {
    fn clone(&self) -> Self {
        Self {
            runner: self.runner.clone(),
            settings: self.settings.clone(),
            waiting: self.waiting.clone(),
            scope: self.scope.clone(),
        }
    }
}

impl<S: Store, A> fmt::Debug for Idempotency<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency")
            .field("runner", &self.runner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<S: Store, A: Send + Sync + 'static> Idempotency<S, A> {
    /// Over this runner. `scope` says whose key it is, from the request as the application's authentication has left it
    /// (its extensions, or a header that was checked): two scopes never see each other's keys, and one that is the same for
    /// all callers hands every response to whoever guesses a key. Its error is answered as it is, before anything is
    /// looked up: the `401` of the application.
    ///
    /// ```
    /// # use axum::http::{StatusCode, request::Parts};
    /// # use axum::response::IntoResponse;
    /// # use workflow::{Runner, Store};
    /// # use workflow_axum::Idempotency;
    /// #[derive(Clone)]
    /// struct Tenant(String); // put there by the authentication
    ///
    /// # fn idempotency<S: Store>(runner: Runner<S, ()>) -> Idempotency<S, ()> {
    /// Idempotency::new(runner, |request: &Parts| match request.extensions.get::<Tenant>() {
    ///     Some(tenant) => Ok(tenant.0.clone()),
    ///     None => Err(StatusCode::UNAUTHORIZED),
    /// })
    /// # }
    /// ```
    pub fn new<E: IntoResponse>(
        runner: Runner<S, A>,
        scope: impl Fn(&Parts) -> Result<String, E> + Send + Sync + 'static,
    ) -> Self {
        let settings = Settings::default();
        let waiting = Arc::new(Waiting::new(settings.waiters));
        let scope: Scope = Arc::new(move |parts| scope(parts).map_err(IntoResponse::into_response));
        Self { runner, settings: Arc::new(settings), waiting, scope }
    }

    /// Without scopes: whoever sends a key that another has used gets that one's response. Only for a service whose
    /// callers are all the same one. It says so in the log.
    pub fn shared_by_everybody(runner: Runner<S, A>) -> Self {
        tracing::warn!("idempotency keys are shared by everybody: whoever guesses a key reads its response");
        Self::new(runner, |_: &Parts| Ok::<_, Response>(EVERYBODY.to_owned()))
    }

    /// With these settings.
    #[must_use]
    pub fn with(mut self, settings: Settings) -> Self {
        self.waiting = Arc::new(Waiting::new(settings.waiters));
        self.settings = Arc::new(settings);
        self
    }

    /// The runner.
    pub fn runner(&self) -> &Runner<S, A> {
        &self.runner
    }

    /// The key of a request, with its header if it has one. `optional`: one is drawn if there is none.
    pub(crate) fn key(&self, parts: &Parts, optional: bool) -> Result<Asked, Response> {
        let scope = (self.scope)(parts)?;
        let header = keys::parse(&parts.headers).map_err(|error| self.problem(Problem::of_header(error)))?;
        let key = match &header {
            Some(header) => Key::new(scope, header.value.clone()),
            None if optional => Key::fresh(scope),
            None => {
                let detail =
                    "This route needs the header Idempotency-Key: a fresh UUID for each new request.";
                return Err(self.problem(Problem::new(Kind::KeyMissing, detail)));
            }
        };
        match key {
            Ok(key) => Ok(Asked { key, header }),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a request has no scope");
                Err(self.problem(Problem::new(Kind::Internal, "The service failed. Nothing is lost.")))
            }
        }
    }

    pub(crate) fn problem(&self, problem: Problem) -> Response {
        (self.settings.shape)(problem)
    }
}

/// Which key a request asks for.
pub(crate) struct Asked {
    pub(crate) key: Key,
    pub(crate) header: Option<KeyHeader>,
}

impl Problem {
    fn of_header(error: KeyHeaderError) -> Self {
        Self::new(Kind::KeyMalformed, format!("{error}."))
    }
}
