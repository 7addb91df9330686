//! A stored response over HTTP: the first time and every other time the same.

use axum::http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use workflow::Answered;

use crate::keys::{HEADER, KeyHeader};
use crate::problem::{Kind, Problem};
use crate::scope::{Asked, Idempotency};

/// Whether a response was stored before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const EXPOSED: HeaderValue = HeaderValue::from_static("idempotency-key, idempotent-replayed");

impl<S: workflow::Store, A: Send + Sync + 'static> Idempotency<S, A> {
    /// With those of its headers that are allowed. Whoever can write to the database must not be able to put anything
    /// else into a response: what is no header any more is left out.
    pub(crate) fn answer(&self, answered: &Answered) -> Response {
        let Ok(status) = StatusCode::from_u16(answered.status()) else {
            tracing::error!(status = answered.status(), "a stored response has no status of HTTP");
            return self.problem(Problem::new(Kind::Internal, "The stored response cannot be sent."));
        };
        let mut response = (status, answered.body().to_vec()).into_response();
        let headers = response.headers_mut();
        headers.clear();
        for (name, value) in answered.headers() {
            match (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
                (Ok(name), Ok(value)) if self.settings.headers.contains(&name) => {
                    headers.append(name, value);
                }
                (Ok(_), Ok(_)) => {}
                _ => tracing::error!("a stored header cannot be sent, and was left out"),
            }
        }
        if answered.replayed() {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }

    /// Any response to a request with a key: the key is echoed as it was sent.
    pub(crate) fn echoed(&self, mut response: Response, asked: &Asked) -> Response {
        let drawn = || HeaderValue::try_from(asked.key.value()).ok();
        let sent = asked.header.as_ref().map(|KeyHeader { sent, .. }| sent.clone());
        if let Some(key) = sent.or_else(drawn) {
            let headers: &mut HeaderMap = response.headers_mut();
            headers.insert(HEADER, key);
            headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        response
    }
}
