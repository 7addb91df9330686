//! The handler that runs a workflow.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRef, FromRequestParts, MatchedPath, OriginalUri, RawPathParams, Request};
use axum::handler::Handler;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use workflow::{Answered, Call, Defines, Error, Handle, Key, Origin, RecoveryPoint, Store};

use crate::body;
use crate::prefer::Prefer;
use crate::problem::{Kind, Problem};
use crate::scope::Idempotency;

/// A handler that runs this workflow: the body is its request. The router's state is, or has, an [`Idempotency`].
///
/// ```
/// # use axum::{Router, routing::post};
/// # use workflow::{Atomic, RecoveryPoint, Response, Step, Workflow};
/// # use workflow_axum::{Idempotency, run};
/// # use workflow_testkit::{Memory, MemoryConn};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Cart;
/// # impl RecoveryPoint for Cart { const NAME: &'static str = "started"; }
/// # async fn place(_: Atomic<'_, MemoryConn, (), Cart>, _: Cart) -> Step<Response> { Ok(Response::empty(204)) }
/// fn checkout() -> Workflow<MemoryConn, (), Cart> {
///     Workflow::new("checkout").atomic("place", place).build()
/// }
/// # fn router(idempotency: Idempotency<Memory, ()>) -> Router {
/// Router::new().route("/checkouts", post(run(checkout))).with_state(idempotency)
/// # }
/// ```
pub fn run<W, In>(workflow: W) -> Run<W, In> {
    Run { workflow, optional: false, path: false, validate: None, unstored: None, request: PhantomData }
}

type Validate<In> = Arc<dyn Fn(&In) -> Result<(), String> + Send + Sync>;
type Unstored = Arc<dyn Fn(&(dyn std::error::Error + 'static)) -> Option<Response> + Send + Sync>;

/// A handler that runs a workflow: [`run`].
pub struct Run<W, In> {
    workflow: W,
    optional: bool,
    path: bool,
    validate: Option<Validate<In>>,
    unstored: Option<Unstored>,
    request: PhantomData<fn() -> In>,
}

impl<W: Clone, In> Clone for Run<W, In> {
    fn clone(&self) -> Self {
        Self {
            workflow: self.workflow.clone(),
            optional: self.optional,
            path: self.path,
            validate: self.validate.clone(),
            unstored: self.unstored.clone(),
            request: PhantomData,
        }
    }
}

impl<W, In> fmt::Debug for Run<W, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("optional", &self.optional).finish_non_exhaustive()
    }
}

impl<W, In> Run<W, In> {
    /// A request without a key gets one: it is run, and the key is in its answer. Who never reads that answer cannot ask
    /// again. Without this a request without a key is refused.
    #[must_use]
    pub fn key_optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The path's parameters are members of the request, as text, beside those of the body: of
    /// `/carts/{cart_id}/complete` and `{"gift": true}` the request is `{"cart_id": "…", "gift": true}`. A body
    /// without any byte counts as `{}`.
    #[must_use]
    pub fn with_path(mut self) -> Self {
        self.path = true;
        self
    }

    /// The application's own answer where a step failed without a final one: given the step's error, it says what the
    /// client hears, if not that the service is unavailable. Nothing is stored: the key stays where it stands, and
    /// the same request goes on from there.
    #[must_use]
    pub fn unstored(
        mut self,
        answer: impl Fn(&(dyn std::error::Error + 'static)) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        self.unstored = Some(Arc::new(answer));
        self
    }

    /// A rule of the request beyond its type. What breaks it is answered `422` before the key is touched, so that a
    /// corrected request may follow under the same key.
    #[must_use]
    pub fn validate<E: fmt::Display>(
        mut self,
        rule: impl Fn(&In) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.validate = Some(Arc::new(move |request| rule(request).map_err(|broken| broken.to_string())));
        self
    }
}

impl<W, In, S, A, St> Handler<(S, A), St> for Run<W, In>
where
    W: Defines<S::Conn, A, In>,
    In: RecoveryPoint,
    S: Store,
    A: Send + Sync + 'static,
    Idempotency<S, A>: FromRef<St>,
    St: Send + Sync + 'static,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: St) -> Self::Future {
        let idempotency = Idempotency::from_ref(&state);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let path = if self.path { path(&mut parts).await } else { Vec::new() };
            match idempotency.key(&parts, self.optional) {
                Ok(asked) => {
                    let response = self.ran(&idempotency, &asked.key, (&parts, &path), body).await;
                    idempotency.echoed(response, &asked)
                }
                Err(refused) => refused,
            }
        })
    }
}

impl<W, In> Run<W, In> {
    async fn ran<S, A>(
        &self,
        idempotency: &Idempotency<S, A>,
        key: &Key,
        (parts, path): (&Parts, &[(String, String)]),
        body: Body,
    ) -> Response
    where
        W: Defines<S::Conn, A, In>,
        In: RecoveryPoint,
        S: Store,
        A: Send + Sync + 'static,
    {
        let ran = async {
            let bytes = body::read(parts, body, idempotency.settings.body_limit).await?;
            let call = || {
                let request = self.request(parts, path, &bytes)?;
                Ok(idempotency.runner.call(self.workflow, key.clone(), request).origin(origin(parts)))
            };
            let came = idempotency.asked(key, Prefer::of(&parts.headers), call).await?;
            Ok(self.unstored_of(&came).unwrap_or_else(|| idempotency.outcome(came)))
        };
        ran.await.unwrap_or_else(|problem| idempotency.problem(problem))
    }

    fn unstored_of(&self, came: &Came) -> Option<Response> {
        match came {
            Came::Ended(Err(Error::Step { source, .. })) => self.unstored.as_ref()?(&**source),
            _ => None,
        }
    }

    /// Typed and valid, before the key is touched.
    fn request(&self, parts: &Parts, path: &[(String, String)], bytes: &Bytes) -> Result<In, Problem>
    where
        In: RecoveryPoint,
    {
        let request = if self.path { body::json_with(parts, bytes, path) } else { body::json(parts, bytes) }?;
        match self.validate.as_ref().map(|validate| validate(&request)) {
            Some(Err(broken)) => Err(Problem::new(Kind::Validation, broken)),
            _ => Ok(request),
        }
    }
}

/// The path's parameters, in their order.
async fn path(parts: &mut Parts) -> Vec<(String, String)> {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(path) => path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        // A route without any.
        Err(_) => Vec::new(),
    }
}

/// What came of a call.
pub(crate) enum Came {
    /// It is on its way, by this run if it is ours, and the client rather hears of it elsewhere.
    Accepted(Response, Option<Handle>),
    Ended(Result<Answered, Error>),
}

impl<S: Store, A: Send + Sync + 'static> Idempotency<S, A> {
    /// Runs a call as the client would like it. It is made anew for each try.
    pub(crate) async fn asked<In: RecoveryPoint>(
        &self,
        key: &Key,
        prefer: Prefer,
        call: impl Fn() -> Result<Call<S, A, In>, Problem>,
    ) -> Result<Came, Problem> {
        if let (true, Some(status_at)) = (prefer.respond_async, &self.settings.status_at) {
            return Ok(started(call()?, status_at).await);
        }
        let wait = prefer.wait.unwrap_or(self.settings.wait).min(self.settings.longest_wait);
        let asked = tokio::time::Instant::now();
        loop {
            let answered = tokio::time::timeout(self.settings.patience, call()?.run()).await;
            let left = wait.saturating_sub(asked.elapsed());
            // Somebody else has the key, from the beginning or by now.
            if let Ok(Err(Error::InProgress { .. } | Error::LeaseLost { .. })) = &answered
                && self.waiting.until_free(&self.runner, key, left).await
            {
                continue;
            }
            // The run goes on, whether anybody waits for it or not.
            return Ok(Came::Ended(answered.unwrap_or(Err(Error::Interrupted))));
        }
    }

    pub(crate) fn outcome(&self, came: Came) -> Response {
        match came {
            Came::Accepted(response, _) => response,
            Came::Ended(Ok(answered)) => self.answer(&answered),
            Came::Ended(Err(error)) => {
                let problem = Problem::of(&error);
                if problem.kind == Kind::Internal {
                    tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
                }
                self.problem(problem)
            }
        }
    }
}

async fn started<S, A, In>(call: Call<S, A, In>, status_at: &str) -> Came
where
    S: Store,
    A: Send + Sync + 'static,
    In: RecoveryPoint,
{
    let run = match call.start().await {
        Ok(run) if run.is_finished() => return Came::Ended(run.wait().await),
        Ok(run) => Some(run),
        Err(Error::InProgress { .. } | Error::Waiting { .. }) => None,
        Err(error) => return Came::Ended(Err(error)),
    };
    let mut response = StatusCode::ACCEPTED.into_response();
    if let Ok(location) = HeaderValue::try_from(status_at) {
        response.headers_mut().insert(LOCATION, location);
    }
    Came::Accepted(response, run)
}

/// What else makes it the same request: the method, the route with its parameters' places, path and query. A nested
/// router has cut its prefix off the path, parameters and all: the one that counts is as it came.
pub(crate) fn origin(parts: &Parts) -> Origin {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
    let route = parts.extensions.get::<MatchedPath>().map(|route| places(route.as_str()));
    Origin {
        method: Some(parts.method.as_str().to_owned()),
        path: Some(path.to_owned()),
        fingerprint: route.unwrap_or_default().into_bytes(),
    }
}

/// A route without the names of its parameters, which a deploy may change: `/carts/{}/complete`.
fn places(route: &str) -> String {
    let mut places = String::with_capacity(route.len());
    let mut inside = false;
    for c in route.chars() {
        inside = match c {
            '{' => true,
            '}' => false,
            _ => inside,
        };
        if !inside || c == '{' {
            places.push(c);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_counts_by_the_places_of_its_parameters() {
        assert_eq!(places("/carts/{cart}/complete/{*rest}"), "/carts/{}/complete/{}");
        assert_eq!(places("/carts/{id}"), places("/carts/{cart_id}"));
        assert_ne!(places("/carts/{id}"), places("/carts/7"));
    }
}
