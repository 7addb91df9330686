//! Errors in the shape of stripe's: an object in the member `error`, by which alone one of its clients knows an error.

use std::time::Duration;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use workflow_axum::{Kind, Problem};

/// Why a request is not answered with what it asks for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<Duration>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'static str>,
}

#[derive(Serialize)]
struct Envelope {
    error: Refusal,
}

impl Refusal {
    fn new(status: StatusCode, r#type: &'static str, message: impl Into<String>) -> Self {
        Self { status, retry_after: None, r#type, code: None, message: message.into(), param: None }
    }

    pub(crate) fn nobody() -> Self {
        let message = "Send your secret key: Authorization: Bearer sk_…";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    /// The request cannot be read.
    pub(crate) fn unreadable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", why)
    }

    pub(crate) fn parameter(name: &'static str, why: &str) -> Self {
        Self { param: Some(name), ..Self::unreadable(format!("The parameter {name} {why}.")) }
    }

    pub(crate) fn missing(what: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", what);
        Self { code: Some("resource_missing"), ..refusal }
    }

    pub(crate) fn declined() -> Self {
        let refusal = Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", "Your card was declined.");
        Self { code: Some("card_declined"), ..refusal }
    }

    /// What the layer has to say. A reused key is a `400`, as with stripe: of a `422` its clients make a general
    /// error, and a `409` they try again.
    pub(crate) fn of(problem: Problem) -> Self {
        let status = problem.kind.status();
        let (status, r#type, code) = match problem.kind {
            Kind::KeyReused => (StatusCode::BAD_REQUEST, "idempotency_error", None),
            Kind::InProgress => (status, "idempotency_error", Some("idempotency_key_in_use")),
            _ if status.is_client_error() => (status, "invalid_request_error", None),
            _ => (status, "api_error", None),
        };
        let refusal = Self::new(status, r#type, problem.detail);
        Self { code, retry_after: problem.retry_after, ..refusal }
    }
}

/// The database's own words are for the log.
impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the book of charges failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "The service failed: ask again.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after);
        let mut response = (status, Json(Envelope { error: self })).into_response();
        if let Some(after) = retry_after {
            // Whole seconds, and never none.
            let seconds = after.as_millis().div_ceil(1000).max(1);
            if let Ok(seconds) = HeaderValue::try_from(seconds.to_string()) {
                response.headers_mut().insert(RETRY_AFTER, seconds);
            }
        }
        response
    }
}
