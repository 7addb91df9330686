//! What can be set.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, LINK, LOCATION};
use axum::response::Response;

use crate::problem::Problem;

/// Makes a response of a problem.
pub(crate) type Shape = Arc<dyn Fn(Problem) -> Response + Send + Sync>;

/// The settings of an [`Idempotency`](crate::Idempotency); each has a default.
#[derive(Clone)]
pub struct Settings {
    pub(crate) body_limit: usize,
    pub(crate) response_limit: usize,
    pub(crate) patience: Duration,
    pub(crate) wait: Duration,
    pub(crate) longest_wait: Duration,
    pub(crate) waiters: usize,
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) status_at: Option<String>,
    pub(crate) shape: Shape,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("body_limit", &self.body_limit)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 1 << 20,
            response_limit: 1 << 20,
            patience: Duration::from_secs(30),
            wait: Duration::ZERO,
            longest_wait: Duration::from_secs(30),
            waiters: 10_000,
            headers: vec![CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, LOCATION, LINK, ETAG],
            status_at: None,
            shape: Arc::new(|problem| problem.into_response_at("/problems/")),
        }
    }
}

impl Settings {
    /// The longest body, in bytes; a longer one is refused before more of it is read. 1 MiB if it is not given.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The longest response of a plain handler that is stored, in bytes. A longer one is sent to the first client alone;
    /// a replay says that it was not kept. 1 MiB if it is not given.
    #[must_use]
    pub fn response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    /// How long a request waits for its own run, which goes on after that. 30 s if it is not given.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long a duplicate waits for the running one if its request does not say so by `Prefer: wait`: for clients
    /// that know nothing of that, and give up after a few `409`s. Never longer than
    /// [`longest_wait`](Self::longest_wait). Not at all if it is not given.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long a duplicate may wait for the running one, whatever its `Prefer: wait` says. 30 s if it is not given.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// How many duplicates may wait at once; a further one is told at once that the key is in progress. 10,000 if it is
    /// not given.
    #[must_use]
    pub fn waiters(mut self, most: usize) -> Self {
        self.waiters = most;
        self
    }

    /// Which headers of a stored response are sent: no other ever leaves, the first time neither. `Content-Type`,
    /// `Content-Encoding`, `Content-Language`, `Location`, `Link` and `ETag` if it is not given.
    #[must_use]
    pub fn headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = names.into_iter().collect();
        self
    }

    /// Where the status resource is: the `Location` of a `202`. Without it `Prefer: respond-async` is not honoured.
    #[must_use]
    pub fn status_at(mut self, path: impl Into<String>) -> Self {
        self.status_at = Some(path.into());
        self
    }

    /// Under which address the problems are explained: what their `type` begins with. `/problems/` if it is not given.
    #[must_use]
    pub fn problems_at(self, base: impl Into<String>) -> Self {
        let base = base.into();
        self.shape(move |problem| problem.into_response_at(&base))
    }

    /// How a problem becomes a response, for clients that want errors of their own shape.
    #[must_use]
    pub fn shape(mut self, shape: impl Fn(Problem) -> Response + Send + Sync + 'static) -> Self {
        self.shape = Arc::new(shape);
        self
    }
}
