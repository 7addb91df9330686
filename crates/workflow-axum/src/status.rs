//! The status resource: where a key stands, without touching it.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use axum::Json;
use axum::extract::{FromRef, Request};
use axum::handler::Handler;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use workflow::{Defines, Error, KeyStatus, RecoveryPoint, Store};

use crate::run::Came;
use crate::scope::Idempotency;

/// A handler that tells where a key of this workflow stands: of a `GET` with the same scope and the same header
/// `Idempotency-Key` as the request itself.
pub fn status<W, In>(workflow: W) -> Status<W, In> {
    Status { workflow, request: PhantomData }
}

/// A handler that tells where a key stands: [`status`].
pub struct Status<W, In> {
    workflow: W,
    request: PhantomData<fn() -> In>,
}

impl<W: Clone, In> Clone for Status<W, In> {
    fn clone(&self) -> Self {
        Self { workflow: self.workflow.clone(), request: PhantomData }
    }
}

impl<W, In> std::fmt::Debug for Status<W, In> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Status").finish_non_exhaustive()
    }
}

/// Where a key stands: the body of the status resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// `running`, `waiting`, `undoing`, `needs_attention` or `finished`.
    pub status: &'static str,
    /// The recovery point that it has reached.
    pub recovery_point: String,
    /// How many steps are done.
    pub steps_done: usize,
    /// How many there are.
    pub steps_total: usize,
    /// The attempts of the next step.
    pub attempts: i32,
    /// The fencing token.
    pub fence: i64,
}

impl<W, In, S, A, St> Handler<(S, A), St> for Status<W, In>
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
            let (parts, _) = request.into_parts();
            let asked = match idempotency.key(&parts, false) {
                Ok(asked) => asked,
                Err(refused) => return refused,
            };
            let steps: Vec<_> = self.workflow.define().steps().map(|step| step.from).collect();
            let found = match idempotency.runner.status(&asked.key).await {
                Ok(Some(found)) if found.workflow == self.workflow.define().name() => Ok(found),
                Ok(_) => Err(Error::UnknownKey { key: asked.key.clone() }),
                Err(error) => Err(error),
            };
            let response = match found {
                Ok(found) => {
                    ([(CACHE_CONTROL, "no-store")], Json(Standing::of(found, &steps))).into_response()
                }
                Err(error) => idempotency.outcome(Came::Ended(Err(error))),
            };
            idempotency.echoed(response, &asked)
        })
    }
}

impl Standing {
    /// Steps start from these points, in order. A key that is undone has none done.
    fn of(found: KeyStatus, from: &[&str]) -> Self {
        let finished = found.response.is_some();
        let next = from.iter().position(|point| *point == found.recovery_point);
        Self {
            status: found.status.as_str(),
            steps_done: if finished { from.len() } else { next.unwrap_or(0) },
            steps_total: from.len(),
            attempts: found.step_attempts,
            fence: found.fence,
            recovery_point: found.recovery_point,
        }
    }
}
