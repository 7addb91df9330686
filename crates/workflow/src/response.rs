//! The response: what a finished key answers, byte for byte.

use std::fmt;

use serde::Serialize;

/// The final answer of a key: status, headers and body bytes.
///
/// A step that returns `Ok(Response)` ends the workflow. As an **error** it is a refusal: `Err(Response)` means
/// that this answer is final, although the workflow did not come to its end (a declined card). It is stored and
/// replayed like any other, and the writes of the step that gave it are rolled back.
///
/// It is eight bytes wide, so that `Result<_, Response>` stays small.
///
/// ```
/// use serde_json::json;
/// use workflow::Response;
/// let paid = Response::new(201, json!({ "order_id": 7 }));
/// assert_eq!(paid.status(), 201);
/// assert_eq!(paid.body(), br#"{"order_id":7}"#);
/// assert_eq!(paid.header("content-type"), Some("application/json"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Response(Box<Final>);

/// The mark that [`Halt`](crate::Halt) looks for in an error's sources. It is one level below `Response`, because a
/// transparent error variant and a boxed error hide their outermost level from a search along `source()`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Final {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// A response with a JSON body and its content type.
    pub fn new(status: u16, body: serde_json::Value) -> Self {
        Self::with_body(status, "application/json", body.to_string())
    }

    /// A response whose body is this value as JSON: without the detour over a tree.
    ///
    /// # Errors
    /// If the value cannot be written as JSON.
    pub fn json<T: Serialize>(status: u16, body: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::with_body(status, "application/json", serde_json::to_vec(body)?))
    }

    /// A response with any bytes.
    pub fn with_body(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::empty(status).with_header("content-type", content_type).with_bytes(body)
    }

    /// A response without a body.
    pub fn empty(status: u16) -> Self {
        Self(Box::new(Final { status, headers: Vec::new(), body: Vec::new() }))
    }

    /// The same with one header more. Names are stored in small letters; a name may be given several times.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The same with these bytes as its body.
    #[must_use]
    pub fn with_bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// The status: an HTTP status code by convention, 100 to 599.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The headers, in the order in which they were given.
    pub fn headers(&self) -> &[(String, String)] {
        &self.0.headers
    }

    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body's bytes, exactly as stored.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// Whether it can be answered over HTTP, now and at every replay.
    pub(crate) fn check(&self) -> Result<(), Unanswerable> {
        if !(100..=599).contains(&self.0.status) {
            return Err(Unanswerable::Status(self.0.status));
        }
        let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        let good = |(name, value): &(String, String)| {
            !name.is_empty()
                && name.bytes().all(token)
                && !value.bytes().any(|b| b.is_ascii_control() && b != b'\t')
        };
        match self.0.headers.iter().find(|header| !good(header)) {
            None => Ok(()),
            Some((name, _)) => Err(Unanswerable::Header(name.clone())),
        }
    }

    pub(crate) fn from_stored(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self(Box::new(Final { status, headers, body }))
    }

    /// The first `Response` among an error and its sources.
    pub(crate) fn among(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut at = Some(error);
        while let Some(error) = at {
            if let Some(answer) = error.downcast_ref::<Final>() {
                return Some(Self(Box::new(answer.clone())));
            }
            at = error.source();
        }
        None
    }
}

/// Why a response is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswerable {
    #[error("a response's status is 100 to 599, not {0}")]
    Status(u16),
    #[error("the response's header {0:?} has a character in its name or value that no header may have")]
    Header(String),
}

/// Status and size only: a body may hold what must not stand in a log.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.0.status, self.0.body.len())
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Response {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl fmt::Debug for Final {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Final {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered {}", self.status)
    }
}

impl std::error::Error for Final {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_response_is_eight_bytes_wide() {
        assert_eq!(size_of::<Response>(), 8);
    }

    #[test]
    fn debug_never_prints_the_body() {
        let response = Response::new(200, json!({ "card": "4242" }));
        assert!(!format!("{response:?} {response}").contains("4242"));
    }

    #[test]
    fn headers_keep_their_order_and_repeat() {
        let response = Response::empty(204).with_header("Link", "a").with_header("link", "b");
        assert_eq!(response.headers(), [("link".into(), "a".into()), ("link".into(), "b".into())]);
        assert_eq!(response.header("LINK"), Some("a"));
    }
}
