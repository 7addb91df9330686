//! A call to the outside over HTTP: stamped, and with an error that says nothing of what was sent.

use reqwest::{Client, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    /// A reset, a time-out, nobody there.
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
    /// A status that decides nothing: 409, 429, 5xx.
    #[error("{name} answered {status}")]
    Status {
        /// Who.
        name: &'static str,
        /// What it said.
        status: u16,
    },
}

impl Outside {
    /// The service at this base address.
    pub fn new(name: &'static str, client: &Client, base: &Url) -> Self {
        Self { name, client: client.clone(), base: base.as_str().trim_end_matches('/').to_owned() }
    }

    /// Posts a body as JSON.
    ///
    /// # Errors
    /// [`OutsideError::Lost`] if no answer came.
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
        OutsideError::Status { name: self.name, status: answer.status().as_u16() }
    }

    /// The address may hold a password, and the error goes to the log and into the key's row.
    fn lost(&self, error: reqwest::Error) -> OutsideError {
        OutsideError::Lost { name: self.name, source: error.without_url() }
    }
}
