//! Errors in Medusa's shape: `{"code"?, "type", "message"}`.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use workflow::StoreError;

/// What is said where two requests meet at one cart or one key.
const CONFLICT: &str =
    "Another request has this cart or this key just now. Ask again with the same Idempotency-Key.";

/// An error as Medusa's clients read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: u16,
    /// In whole seconds. A client of Medusa takes 0 for never.
    #[serde(skip)]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    r#type: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, r#type: &'static str, message: impl Into<String>) -> Self {
        Self { status, retry_after: None, code: None, r#type, message: message.into() }
    }

    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(crate) fn again_in(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds.max(1)), ..self }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn invalid_data(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_data", message)
    }

    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(400, "not_allowed", message)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(404, "not_found", format!("{what} with id: {id} was not found"))
    }

    /// Another request has the cart or the key just now.
    pub(crate) fn conflict() -> Self {
        Self::new(409, "conflict", CONFLICT).code("invalid_state_error").again_in(1)
    }

    /// There is not as much of a variant as is wanted.
    pub(crate) fn too_few(status: u16, variant_id: &str) -> Self {
        let message = format!("Variant with id: {variant_id} does not have the required inventory");
        Self::new(status, "not_allowed", message).code("insufficient_inventory")
    }

    /// The database is away: nothing is lost, and the client asks again.
    fn away() -> Self {
        Self::new(503, "unknown_error", "The database is away. Ask again with the same key.").again_in(1)
    }

    fn failed() -> Self {
        Self::new(500, "unknown_error", "An unknown error occurred.").code("unknown_error")
    }

    /// The conflict of a step that met another transaction, if its error is one.
    pub(crate) fn met_another(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut at = Some(error);
        while let Some(error) = at {
            if error.downcast_ref::<sqlx::Error>().is_some_and(met_another) {
                return Some(Self::conflict());
            }
            at = error.source();
        }
        None
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// PostgreSQL's serialization failure, deadlock and lock time-out, and SQLite's busy: whoever met another transaction
/// may try again. All of them alike, the deadlock too.
const MET_ANOTHER: [&str; 5] = ["40001", "40P01", "55P03", "5", "517"];

fn met_another(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| MET_ANOTHER.contains(&&*code))
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        if met_another(&error) {
            return Self::conflict();
        }
        tracing::error!(error = &error as &dyn std::error::Error, "a request met an error of the database");
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::away(),
            _ => Self::failed(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a request met an error of the store");
        if error.is_transient() { Self::away() } else { Self::failed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_never_told_to_come_back_at_once() {
        let conflict = Refusal::conflict().again_in(0).into_response();
        assert_eq!(conflict.headers()["retry-after"], "1");
        assert_eq!(conflict.status(), 409);
    }
}
