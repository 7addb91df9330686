//! Through the codec, and back.

use std::time::Duration;

use crate::codec::{Codec, Place};
use crate::outcome::Reached;
use crate::record::{StoredResponse, To};
use crate::{BoxError, Key, Response};

/// What a step has reached, sealed.
pub(super) enum Sealed {
    Point { name: &'static str, data: Vec<u8> },
    Finished(StoredResponse),
}

impl Sealed {
    pub(super) fn as_to(&self, retention: Duration) -> To<'_> {
        match self {
            Self::Point { name, data } => To::Point { name, data },
            Self::Finished(response) => To::Finished { response, retention },
        }
    }
}

/// The codec at one key.
pub(super) struct Sealer<'a> {
    pub(super) codec: &'a dyn Codec,
    pub(super) key: &'a Key,
}

impl<'a> Sealer<'a> {
    fn place(&self, column: &'static str, point: &'a str) -> Place<'a> {
        Place { scope: self.key.scope(), key: self.key.value(), column, point }
    }

    pub(super) fn seal_request(&self, request: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        self.codec.seal(self.place("request_params", ""), request)
    }

    pub(super) fn open_request(&self, request: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        self.codec.open(self.place("request_params", ""), request)
    }

    pub(super) fn open_data(&self, point: &'a str, data: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        self.codec.open(self.place("data", point), data)
    }

    pub(super) fn seal(&self, reached: &Reached) -> Result<Sealed, BoxError> {
        match reached {
            Reached::Point { name, data } => {
                Ok(Sealed::Point { name, data: self.codec.seal(self.place("data", name), data.clone())? })
            }
            Reached::Response(response) => Ok(Sealed::Finished(self.seal_response(response)?)),
        }
    }

    fn seal_response(&self, response: &Response) -> Result<StoredResponse, BoxError> {
        let code = response.status();
        if !(100..=599).contains(&code) {
            return Err(format!("a response's status is 100 to 599, not {code}").into());
        }
        let headers = serde_json::to_vec(response.headers())?;
        Ok(StoredResponse {
            code,
            headers: self.codec.seal(self.place("response_headers", ""), headers)?,
            body: self.codec.seal(self.place("response_body", ""), response.body().to_vec())?,
        })
    }

    pub(super) fn open_response(&self, stored: StoredResponse) -> Result<Response, BoxError> {
        let headers = self.codec.open(self.place("response_headers", ""), stored.headers)?;
        let body = self.codec.open(self.place("response_body", ""), stored.body)?;
        Ok(Response::from_stored(stored.code, serde_json::from_slice(&headers)?, body))
    }
}
