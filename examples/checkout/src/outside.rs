//! A call to the outside over HTTP: stamped, and with an error that says what it means and nothing of what was sent.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use workflow::{BoxError, RetryAfter};

use crate::stamp::Stamp;

/// One service outside.
#[derive(Debug, Clone)]
pub struct Outside {
    name: &'static str,
    client: Client,
    base: String,
}

/// Why an outside call brought no answer that counts. The same call, with the same effect key, may be made again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideError {
    /// No connection came about: nothing was sent.
    #[error("{name} cannot be reached")]
    Unreachable {
        /// Who.
        name: &'static str,
        /// Why.
        source: reqwest::Error,
    },
    /// A reset, a time-out: it was sent, or may have been.
    #[error("{name} did not answer")]
    Lost {
        /// Who.
        name: &'static str,
        /// Why.
        source: reqwest::Error,
    },
    /// An answer that is cut short, or not what it should be. What it says is not repeated: it may echo a card.
    #[error("{name} answered something that cannot be read")]
    Garbled {
        /// Who.
        name: &'static str,
    },
    /// A status that decides nothing: 400, 409, 429, 5xx.
    #[error("{name} answered {status}")]
    Status {
        /// Who.
        name: &'static str,
        /// What it said.
        status: u16,
        /// Not before when it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl OutsideError {
    /// Whether this call is known to have done nothing: it never arrived, an earlier one with its key is in flight
    /// (409), or there were too many (429). After anything else nobody knows.
    pub fn did_nothing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => matches!(status, 409 | 429),
            Self::Lost { .. } | Self::Garbled { .. } => false,
        }
    }

    /// The same error; the call is not made again before the other side wants it.
    pub fn in_its_time(self) -> BoxError {
        match self {
            Self::Status { retry_after: Some(after), .. } => RetryAfter::new(after, self).into(),
            _ => self.into(),
        }
    }
}

impl Outside {
    /// The service at this base address.
    pub fn new(name: &'static str, client: &Client, base: &Url) -> Self {
        Self { name, client: client.clone(), base: base.as_str().trim_end_matches('/').to_owned() }
    }

    /// Posts a body as JSON.
    ///
    /// # Errors
    /// [`OutsideError::Unreachable`] or [`OutsideError::Lost`] if no answer came.
    pub async fn post<T: Serialize>(
        &self,
        stamp: &Stamp,
        path: &str,
        body: &T,
    ) -> Result<Response, OutsideError> {
        let request = self.client.post(format!("{}/{path}", self.base)).json(body);
        stamp.on(request).send().await.map_err(|e| self.lost(e))
    }

    /// The answer's body.
    ///
    /// # Errors
    /// [`OutsideError::Garbled`] if it is cut short or not what it should be.
    pub async fn json<T: DeserializeOwned>(&self, answer: Response) -> Result<T, OutsideError> {
        answer.json().await.map_err(|_| OutsideError::Garbled { name: self.name })
    }

    /// The error for a status that decides nothing.
    pub fn unexpected(&self, answer: &Response) -> OutsideError {
        // As a date it would have to be trusted with the other side's clock.
        let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        OutsideError::Status {
            name: self.name,
            status: answer.status().as_u16(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    /// The address may hold a password, and the error goes to the log and into the key's row.
    fn lost(&self, error: reqwest::Error) -> OutsideError {
        let (name, unreachable) = (self.name, error.is_connect());
        let source = error.without_url();
        match unreachable {
            true => OutsideError::Unreachable { name, source },
            false => OutsideError::Lost { name, source },
        }
    }
}
