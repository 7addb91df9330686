//! Errors as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use workflow::Error;

/// Nobody is told to ask again later than this: a person may let a key go on at any time.
const LATEST: Duration = Duration::from_secs(60);

/// What kind of problem it is: the last part of its `type`, and a heading of the page of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The route needs a key, and there is none.
    KeyMissing,
    /// The header is no key.
    KeyMalformed,
    /// The body is not JSON, or has a member twice.
    Body,
    /// The body is not `application/json`.
    ContentType,
    /// The body is longer than the limit.
    TooLarge,
    /// The body is JSON and breaks a rule.
    Validation,
    /// The key was used for another request.
    KeyReused,
    /// Another request with this key is running, or the key waits for its next attempt.
    InProgress,
    /// The key is parked: a person has to decide.
    NeedsAttention,
    /// There is no such key.
    KeyUnknown,
    /// The response of the first request was too large to be kept.
    NotKept,
    /// The storage or a step failed, or the run takes longer than a request waits: ask again.
    Unavailable,
    /// A fault of the service.
    Internal,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::KeyMissing,
        Self::KeyMalformed,
        Self::Body,
        Self::ContentType,
        Self::TooLarge,
        Self::Validation,
        Self::KeyReused,
        Self::InProgress,
        Self::NeedsAttention,
        Self::KeyUnknown,
        Self::NotKept,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Its name, its status and its title.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::KeyMissing => ("key-missing", 400, "Idempotency-Key is missing"),
            Self::KeyMalformed => ("key-malformed", 400, "Idempotency-Key is malformed"),
            Self::Body => ("body", 400, "The body cannot be read"),
            Self::ContentType => ("content-type", 415, "The body must be application/json"),
            Self::TooLarge => ("too-large", 413, "The body is too large"),
            Self::Validation => ("validation", 422, "The request is not valid"),
            Self::KeyReused => ("key-reused", 422, "Idempotency-Key was used for a different request"),
            Self::InProgress => ("in-progress", 409, "A request with this key is in progress"),
            Self::NeedsAttention => ("needs-attention", 409, "The request needs attention"),
            Self::KeyUnknown => ("key-unknown", 404, "The key is unknown"),
            Self::NotKept => ("not-kept", 410, "The response was not kept"),
            Self::Unavailable => ("unavailable", 503, "The service is unavailable"),
            Self::Internal => ("internal", 500, "The service failed"),
        }
    }

    /// Its name: the last part of the `type`.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Its status.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Its title, the same for every occurrence.
    pub fn title(self) -> &'static str {
        self.row().2
    }
}

/// One problem, before it is a response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What kind it is.
    pub kind: Kind,
    /// What happened this time, for a person to read. It repeats nothing of what was stored.
    pub detail: String,
    /// When to ask again.
    pub retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None }
    }

    fn again_in(self, after: Duration) -> Self {
        Self { retry_after: Some(after.min(LATEST)), ..self }
    }

    /// What an error of the runner is over HTTP. Its sources are not repeated: they stand in the log.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::InProgress { retry_after, .. } => {
                Self::new(Kind::InProgress, "Another request with this key is running; ask again later.")
                    .again_in(*retry_after)
            }
            Error::Waiting { retry_after, .. } => {
                Self::new(Kind::InProgress, "The request waits for its next attempt; ask again later.")
                    .again_in(*retry_after)
            }
            Error::LeaseLost { .. } => {
                Self::new(Kind::InProgress, "Another process has taken the request over; ask again later.")
                    .again_in(Duration::ZERO)
            }
            Error::NeedsAttention { .. } => Self::new(
                Kind::NeedsAttention,
                "The request could not be brought to an end. A person has to decide; nothing is lost.",
            ),
            Error::Mismatch { .. } => Self::new(
                Kind::KeyReused,
                "This key was used for a different request. Use a new key for a new request.",
            ),
            Error::UnknownKey { .. } => Self::new(Kind::KeyUnknown, "There is no request with this key."),
            Error::Request(refused) => Self::new(Kind::Body, refused.to_string()),
            Error::Step { .. } | Error::Store(_) | Error::Interrupted => Self::new(
                Kind::Unavailable,
                "The request is not finished. Nothing is lost: ask again with the same key.",
            )
            .again_in(Duration::ZERO),
            _ => Self::new(Kind::Internal, "The service failed. Nothing is lost."),
        }
    }

    /// As a response, its `type` under this address.
    pub fn into_response_at(self, base: &str) -> Response {
        let status = self.kind.status();
        let document = Document {
            r#type: format!("{base}{}", self.kind.name()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(after)));
        }
        response
    }
}

/// Whole seconds, at least one: clients take 0 for never.
fn seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use workflow::Key;
    use workflow::seam::Status;

    use super::*;

    fn of(error: &Error) -> (u16, String, Option<String>) {
        let kind = Problem::of(error).kind.name().to_owned();
        let response = Problem::of(error).into_response_at("");
        let after = response.headers().get(RETRY_AFTER).map(|after| after.to_str().unwrap().to_owned());
        (response.status().as_u16(), kind, after)
    }

    #[test]
    fn who_is_told_to_ask_again_is_told_whole_seconds_from_1_to_60() {
        let key = Key::fresh("s").unwrap();
        for (millis, seconds) in
            [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (60_000, "60"), (3_600_000, "60")]
        {
            let retry_after = Duration::from_millis(millis);
            let told = (409, "in-progress".to_owned(), Some(seconds.to_owned()));
            assert_eq!(of(&Error::InProgress { key: key.clone(), retry_after }), told);
            assert_eq!(of(&Error::Waiting { key: key.clone(), retry_after }), told);
        }
        let lost = of(&Error::LeaseLost { key, point: "started".into() });
        assert_eq!(lost, (409, "in-progress".to_owned(), Some("1".to_owned())));
    }

    #[test]
    fn nobody_is_told_when_a_person_will_have_decided() {
        let parked = Error::NeedsAttention { key: Key::fresh("s").unwrap(), status: Status::NeedsAttention };
        assert_eq!(of(&parked), (409, "needs-attention".to_owned(), None));
    }
}
