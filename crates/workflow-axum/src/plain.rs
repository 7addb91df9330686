//! The workflow of a plain handler, and the requests that are at hand for it.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::response::Parts;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use workflow::{Foreign, Halt, Key, RecoveryPoint, Step, Workflow};

use crate::effect::EffectKey;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

/// What is stored of a request to a plain handler: enough to know it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plain {
    method: String,
    path: String,
    body: [u8; 32],
}

impl Plain {
    pub(crate) fn new(method: &str, path: &str, body: [u8; 32]) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), body }
    }
}

impl RecoveryPoint for Plain {
    const NAME: &'static str = "started";
}

/// The workflow of all plain handlers.
pub(crate) fn plain<C: Send + 'static>() -> Workflow<C, Live, Plain> {
    Workflow::new("http").foreign("handle", handle).build()
}

/// Calls the handler of a request that is at hand. Whoever resumes the key without one cannot.
async fn handle(cx: Foreign<'_, Live, Plain>, request: Plain) -> Step<workflow::Response> {
    let Some(call) = cx.app.take(cx.key, &request) else { return Err(Halt::of(NoRequest)) };
    let captured = call(EffectKey(cx.effect_key())).await;
    cx.app.leave(cx.key, &request, captured.unstored);
    captured.stored.ok_or_else(|| Halt::of(NotKept))
}

#[derive(Debug, thiserror::Error)]
#[error("the request is not at hand: it is run when it is sent again")]
struct NoRequest;

#[derive(Debug, thiserror::Error)]
#[error("the handler's response is none that is kept")]
struct NotKept;

/// What a handler answered: what is stored of it, or what only the first client gets; both if it is too large.
pub(crate) struct Captured {
    stored: Option<workflow::Response>,
    unstored: Option<Response>,
}

type Handler = Box<dyn FnOnce(EffectKey) -> Pin<Box<dyn Future<Output = Captured> + Send>> + Send>;

/// The requests that are at hand in this process.
#[derive(Clone, Default)]
pub struct Live(Arc<Requests>);

#[derive(Default)]
struct Requests {
    next: AtomicU64,
    places: Mutex<HashMap<(Key, Plain), Calls>>,
}

/// All calls of one request: one of them is made, whichever.
#[derive(Default)]
struct Calls {
    waiting: HashMap<u64, Handler>,
    here: usize,
    unstored: Option<Response>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

/// A request's place among those at hand, as long as it is here.
pub(crate) struct Place {
    live: Live,
    of: (Key, Plain),
    number: u64,
}

impl Live {
    /// Puts a request where its run finds it.
    pub(crate) fn place<F: Future<Output = Captured> + Send + 'static>(
        &self,
        key: &Key,
        request: &Plain,
        call: impl FnOnce(EffectKey) -> F + Send + 'static,
    ) -> Place {
        let (of, number) = ((key.clone(), request.clone()), self.0.next.fetch_add(1, Ordering::Relaxed));
        let mut places = self.places();
        let calls = places.entry(of.clone()).or_default();
        calls.here += 1;
        calls.waiting.insert(number, Box::new(|effect_key| Box::pin(call(effect_key))));
        drop(places);
        Place { live: self.clone(), of, number }
    }

    fn take(&self, key: &Key, request: &Plain) -> Option<Handler> {
        let mut places = self.places();
        let waiting = &mut places.get_mut(&(key.clone(), request.clone()))?.waiting;
        let number = *waiting.keys().min()?;
        waiting.remove(&number)
    }

    fn leave(&self, key: &Key, request: &Plain, unstored: Option<Response>) {
        if let Some(calls) = self.places().get_mut(&(key.clone(), request.clone())) {
            calls.unstored = unstored;
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<(Key, Plain), Calls>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// What the run has left for this request alone.
    pub(crate) fn unstored(self) -> Option<Response> {
        self.live.places().get_mut(&self.of)?.unstored.take()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.live.places();
        let Some(calls) = places.get_mut(&self.of) else { return };
        let mine = calls.waiting.remove(&self.number);
        calls.here -= 1;
        let gone = if calls.here == 0 { places.remove(&self.of) } else { None };
        drop(places);
        // What they hold may do anything when it is dropped.
        drop((mine, gone));
    }
}

/// What is stored of a handler's response: its status, the headers on the list, and all of its body, before any layer
/// outside compresses it. A body above the limit is for the first client alone; a replay says that it was not kept, and
/// the handler is not called again.
pub(crate) async fn captured(
    response: Response,
    settings: &Settings,
    keeps: &(dyn Fn(StatusCode) -> bool + Send + Sync),
) -> Captured {
    let (parts, body) = response.into_parts();
    if !keeps(parts.status) {
        return Captured { stored: None, unstored: Some(Response::from_parts(parts, body)) };
    }
    let (mut rest, mut bytes) = (body.into_data_stream(), Vec::new());
    while let Some(more) = rest.next().await {
        let Ok(more) = more else {
            tracing::error!("a handler's body broke off: its response is not kept");
            let problem = Problem::new(Kind::Internal, "The response broke off.");
            return Captured { stored: None, unstored: Some((settings.shape)(problem)) };
        };
        bytes.extend_from_slice(&more);
        if bytes.len() > settings.response_limit {
            let whole = stream::iter([Ok(Bytes::from(bytes))]).chain(rest);
            let first = Response::from_parts(parts, Body::from_stream(whole));
            return Captured { stored: not_kept(settings).await, unstored: Some(first) };
        }
    }
    Captured { stored: Some(stored(&parts, bytes, settings)), unstored: None }
}

fn stored(parts: &Parts, body: Vec<u8>, settings: &Settings) -> workflow::Response {
    let mut stored = workflow::Response::empty(parts.status.as_u16());
    for name in &settings.headers {
        for value in parts.headers.get_all(name) {
            match value.to_str() {
                Ok(value) => stored = stored.with_header(name.as_str(), value),
                Err(_) => tracing::warn!(%name, "a header that is no visible ASCII is not kept"),
            }
        }
    }
    stored.with_bytes(body)
}

/// What stands in the place of a response that is too large.
async fn not_kept(settings: &Settings) -> Option<workflow::Response> {
    let detail = "The request was carried out, and its response was too large to be kept.";
    let (parts, body) = (settings.shape)(Problem::new(Kind::NotKept, detail)).into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.ok()?;
    Some(stored(&parts, body.to_vec(), settings))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn place(live: &Live, of: &(Key, Plain)) -> Place {
        live.place(&of.0, &of.1, |_| async { Captured { stored: None, unstored: None } })
    }

    fn request() -> (Key, Plain) {
        (Key::fresh("s").unwrap(), Plain::new("POST", "/", [0; 32]))
    }

    #[test]
    fn a_request_takes_along_what_it_has_brought() {
        let (live, of) = (Live::default(), request());
        let (first, second) = (place(&live, &of), place(&live, &of));
        drop(first);
        assert_eq!(live.places()[&of].waiting.len(), 1);
        assert!(live.take(&of.0, &of.1).is_some());
        assert!(live.take(&of.0, &of.1).is_none(), "each handler is called once");
        drop(second);
        assert!(live.places().is_empty());
    }

    #[test]
    fn only_what_the_last_run_has_left_is_sent() {
        let (live, of) = (Live::default(), request());
        let here = place(&live, &of);
        live.leave(&of.0, &of.1, Some(StatusCode::SERVICE_UNAVAILABLE.into_response()));
        live.leave(&of.0, &of.1, None);
        assert!(here.unstored().is_none());
    }
}
