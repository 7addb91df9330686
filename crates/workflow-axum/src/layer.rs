//! The layer for plain handlers: the handler is the one step, its response is stored and replayed.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use tower::{Layer, Service};
use tracing::Instrument;
use workflow::{BuildError, Error, Key, Origin, Runner, RunnerBuilder, Store};

use crate::body;
use crate::effect::EffectKey;
use crate::plain::{Live, Plain, plain};
use crate::prefer::Prefer;
use crate::problem::Problem;
use crate::run::{Came, origin};
use crate::scope::Idempotency;
use crate::settings::Settings;

type Fingerprint = Arc<dyn Fn(&Parts, &[u8]) -> Vec<u8> + Send + Sync>;
type Keeps = Arc<dyn Fn(StatusCode) -> bool + Send + Sync>;

/// A layer that makes plain handlers idempotent by the header `Idempotency-Key`: of all requests with one key the handler
/// sees one, and the others get its response. `GET`, `HEAD`, `OPTIONS` and `TRACE` pass by.
///
/// A handler is a foreign step: if the process dies in it, nobody knows what it has done, and the next request with
/// the key calls it again. What must not happen twice then belongs into a workflow, or takes the [`EffectKey`] on,
/// which the handler finds in the request's extensions.
///
/// ```
/// # use axum::{Router, http::{StatusCode, request::Parts}, routing::post};
/// # use workflow_axum::IdempotencyLayer;
/// # use workflow_testkit::Memory;
/// # #[derive(Clone)] struct Tenant(String);
/// # fn router(store: Memory) -> Result<Router, Box<dyn std::error::Error>> {
/// let idempotency = IdempotencyLayer::new(store, |request: &Parts| {
///     request.extensions.get::<Tenant>().map(|tenant| tenant.0.clone()).ok_or(StatusCode::UNAUTHORIZED)
/// })?;
/// Ok(Router::new().route("/charges", post(|| async { "charged" })).layer(idempotency))
/// # }
/// ```
pub struct IdempotencyLayer<S: Store> {
    idempotency: Idempotency<S, Live>,
    optional: bool,
    keeps: Keeps,
    fingerprint: Fingerprint,
}

impl<S: Store> Clone for IdempotencyLayer<S> {
    fn clone(&self) -> Self {
        Self {
            idempotency: self.idempotency.clone(),
            optional: self.optional,
            keeps: self.keeps.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }
}

impl<S: Store> fmt::Debug for IdempotencyLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayer").field("optional", &self.optional).finish_non_exhaustive()
    }
}

impl<S: Store> IdempotencyLayer<S> {
    /// Over this store. Of the scope, see [`Idempotency::new`].
    ///
    /// # Errors
    /// [`BuildError`] if the runner cannot be built.
    pub fn new<E: IntoResponse>(
        store: S,
        scope: impl Fn(&Parts) -> Result<String, E> + Send + Sync + 'static,
    ) -> Result<Self, BuildError> {
        Self::over(Runner::builder(store, Live::default()), scope)
    }

    /// Over a runner with settings of its own: a codec, a lease, a retention.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn over<E: IntoResponse>(
        runner: RunnerBuilder<S, Live>,
        scope: impl Fn(&Parts) -> Result<String, E> + Send + Sync + 'static,
    ) -> Result<Self, BuildError> {
        let runner = runner.with(plain::<S::Conn>).build()?;
        Ok(Self {
            idempotency: Idempotency::new(runner, scope),
            optional: false,
            keeps: Arc::new(keeps),
            fingerprint: Arc::new(|_, body| body.to_vec()),
        })
    }

    /// With these settings.
    #[must_use]
    pub fn with(mut self, settings: Settings) -> Self {
        self.idempotency = self.idempotency.with(settings);
        self
    }

    /// A request without a key gets one. Without this it is refused.
    #[must_use]
    pub fn key_optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Which responses are final, by their status: they are stored. Any other one is sent once, and the next request calls
    /// the handler again. If it is not given: all but `401`, `403`, `408`, `425`, `429` and `5xx`, of which a later request
    /// may come to something else.
    #[must_use]
    pub fn keeps(mut self, keeps: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        self.keeps = Arc::new(keeps);
        self
    }

    /// What of the body makes it the same request, instead of all its bytes: for multipart bodies, whose boundary is drawn
    /// anew, and for encrypted ones. Method, route, path and query count besides.
    #[must_use]
    pub fn fingerprint(mut self, of: impl Fn(&Parts, &[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        self.fingerprint = Arc::new(of);
        self
    }
}

/// Of these statuses the next request may come to something else.
fn keeps(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 401 | 403 | 408 | 425 | 429 | 500..)
}

impl<S: Store, I> Layer<I> for IdempotencyLayer<S> {
    type Service = IdempotencyService<S, I>;

    fn layer(&self, inner: I) -> Self::Service {
        IdempotencyService { layer: self.clone(), inner }
    }
}

/// What [`IdempotencyLayer`] makes of a service.
pub struct IdempotencyService<S: Store, I> {
    layer: IdempotencyLayer<S>,
    inner: I,
}

impl<S: Store, I: Clone> Clone for IdempotencyService<S, I> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), inner: self.inner.clone() }
    }
}

impl<S: Store, I> fmt::Debug for IdempotencyService<S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layer.fmt(f)
    }
}

impl<S, I> Service<Request> for IdempotencyService<S, I>
where
    S: Store,
    I: Service<Request, Error = Infallible> + Clone + Send + 'static,
    I::Response: IntoResponse,
    I::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that is ready is called, and its clone is left for the next request.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        if request.method().is_safe() {
            let answered = inner.call(request);
            return Box::pin(async move { Ok(answered.await.into_response()) });
        }
        let layer = self.layer.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match layer.idempotency.key(&parts, layer.optional) {
                Ok(asked) => {
                    let response = match body::read(&parts, body, layer.idempotency.settings.body_limit).await
                    {
                        Ok(bytes) => layer.detached(asked.key.clone(), parts, bytes, inner).await,
                        Err(problem) => layer.idempotency.problem(problem),
                    };
                    Ok(layer.idempotency.echoed(response, &asked))
                }
                Err(refused) => Ok(refused),
            }
        })
    }
}

impl<S: Store> IdempotencyLayer<S> {
    /// In a task of its own: the run would not find the handler of a client that has hung up.
    async fn detached<I>(&self, key: Key, parts: Parts, bytes: Bytes, inner: I) -> Response
    where
        I: Service<Request, Error = Infallible> + Send + 'static,
        I::Response: IntoResponse,
        I::Future: Send,
    {
        let layer = self.clone();
        let handled = async move { layer.handled(&key, parts, bytes, inner).await };
        let interrupted = |_| self.idempotency.problem(Problem::of(&Error::Interrupted));
        tokio::spawn(handled.in_current_span()).await.unwrap_or_else(interrupted)
    }

    async fn handled<I>(&self, key: &Key, mut parts: Parts, bytes: Bytes, mut inner: I) -> Response
    where
        I: Service<Request, Error = Infallible> + Send + 'static,
        I::Response: IntoResponse,
        I::Future: Send,
    {
        let origin = origin(&parts);
        let request = self.plain(&parts, &origin, &bytes);
        let (prefer, keeps) = (Prefer::of(&parts.headers), self.keeps.clone());
        let live = self.idempotency.runner.app().clone();
        let settings = self.idempotency.settings.clone();
        let place = live.place(key, &request, move |effect_key| async move {
            parts.extensions.insert::<EffectKey>(effect_key);
            let answered = inner.call(Request::from_parts(parts, Body::from(bytes)));
            crate::plain::captured(answered.await.into_response(), &settings, &*keeps).await
        });
        let call = || {
            Ok(self
                .idempotency
                .runner
                .call(plain::<S::Conn>, key.clone(), request.clone())
                .origin(origin.clone()))
        };
        match self.idempotency.asked(key, prefer, call).await {
            Ok(Came::Accepted(response, run)) => {
                if let Some(run) = run {
                    // The handler is called when the client has its answer already.
                    tokio::spawn(async move {
                        let _ = run.wait().await;
                        drop(place);
                    });
                }
                response
            }
            Ok(came) => {
                let unstored = if is_from_here(&came) { place.unstored() } else { None };
                unstored.unwrap_or_else(|| self.idempotency.outcome(came))
            }
            Err(problem) => self.idempotency.problem(problem),
        }
    }

    /// All that is stored of a request: the handler has the rest at hand, and nobody else needs it.
    fn plain(&self, parts: &Parts, origin: &Origin, body: &Bytes) -> Plain {
        let hash: [u8; 32] = Sha256::digest((self.fingerprint)(parts, body)).into();
        Plain::new(parts.method.as_str(), origin.path.as_deref().unwrap_or_default(), hash)
    }
}

/// Whether it is what the handler has answered to this request: its response was stored just now, or is none that is kept.
/// A run that was overtaken has an answer that nobody else will ever get.
fn is_from_here(came: &Came) -> bool {
    match came {
        Came::Ended(Ok(answered)) => !answered.replayed(),
        Came::Ended(Err(Error::Step { .. })) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_request_may_come_to_is_not_kept() {
        let kept = |status| keeps(StatusCode::from_u16(status).unwrap());
        assert!([200, 201, 302, 400, 402, 404, 409, 422].into_iter().all(kept));
        assert!(![401, 403, 408, 425, 429, 500, 503, 599].into_iter().any(kept));
    }
}
