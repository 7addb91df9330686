//! Through the codec, and back.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use crate::advance::{StoredResponse, To};
use crate::codec::{Codec, Place};
use crate::outcome::Reached;
use crate::point::FINISHED;
use crate::record::Status;
use crate::{BoxError, Key, Response};

use super::panicked::Panicked;

/// What a step has reached, sealed.
pub(super) enum Sealed {
    Point { name: &'static str, data: Vec<u8> },
    Finished(StoredResponse),
}

impl Sealed {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Point { .. } => Status::Running,
            Self::Finished(_) => Status::Finished,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Point { name, .. } => name,
            Self::Finished(_) => FINISHED,
        }
    }

    pub(super) fn as_to(&self, retention: Duration) -> To<'_> {
        match self {
            Self::Point { name, data } => To::Point { name, data },
            Self::Finished(response) => To::Finished { response, retention },
        }
    }
}

/// The codec at one key. A codec that panics has failed like any other.
pub(super) struct Sealer<'a> {
    pub(super) codec: &'a dyn Codec,
    pub(super) key: &'a Key,
}

impl Sealer<'_> {
    fn seal_at(&self, column: &'static str, point: &str, plain: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        Panicked::catch(AssertUnwindSafe(|| self.codec.seal(self.place(column, point), plain)))
    }

    fn open_at(&self, column: &'static str, point: &str, sealed: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        Panicked::catch(AssertUnwindSafe(|| self.codec.open(self.place(column, point), sealed)))
    }

    fn place<'p>(&'p self, column: &'static str, point: &'p str) -> Place<'p> {
        Place { scope: self.key.scope(), key: self.key.value(), column, point }
    }

    pub(super) fn seal_request(&self, request: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        self.seal_at("request_params", "", request)
    }

    pub(super) fn open_request(&self, request: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        self.open_at("request_params", "", request)
    }

    pub(super) fn open_data(&self, point: &str, data: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        self.open_at("data", point, data)
    }

    pub(super) fn seal(&self, reached: &Reached) -> Result<Sealed, BoxError> {
        match reached {
            Reached::Point { name, data } => {
                Ok(Sealed::Point { name, data: self.seal_at("data", name, data.clone())? })
            }
            Reached::Response(response) => Ok(Sealed::Finished(self.seal_response(response)?)),
        }
    }

    pub(super) fn seal_response(&self, response: &Response) -> Result<StoredResponse, BoxError> {
        response.check()?;
        let headers = serde_json::to_vec(response.headers())?;
        Ok(StoredResponse {
            code: response.status(),
            headers: self.seal_at("response_headers", "", headers)?,
            body: self.seal_at("response_body", "", response.body().to_vec())?,
        })
    }

    pub(super) fn open_response(&self, stored: StoredResponse) -> Result<Response, BoxError> {
        let headers = self.open_at("response_headers", "", stored.headers)?;
        let body = self.open_at("response_body", "", stored.body)?;
        Ok(Response::from_stored(stored.code, serde_json::from_slice(&headers)?, body))
    }
}
