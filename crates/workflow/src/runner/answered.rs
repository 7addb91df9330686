//! What a call returns.

use std::ops::Deref;

use crate::Response;

/// The response of a key, and how this call came by it. Dereferences to the [`Response`].
#[derive(Debug, Clone)]
pub struct Answered {
    response: Response,
    replayed: bool,
    ran: Vec<&'static str>,
    skipped: Vec<&'static str>,
}

impl Answered {
    pub(super) fn by_run(response: Response, ran: Vec<&'static str>, skipped: Vec<&'static str>) -> Self {
        Self { response, replayed: false, ran, skipped }
    }

    pub(super) fn by_replay(response: Response) -> Self {
        Self { response, replayed: true, ran: Vec::new(), skipped: Vec::new() }
    }

    /// The response.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The response, taken out.
    pub fn into_response(self) -> Response {
        self.response
    }

    /// Whether the key was finished before this call: the response is the stored one.
    pub fn replayed(&self) -> bool {
        self.replayed
    }

    /// The steps that this call ran, in order.
    pub fn ran(&self) -> &[&'static str] {
        &self.ran
    }

    /// The steps that this call skipped, since an earlier run had completed them. Empty for a replay.
    pub fn skipped(&self) -> &[&'static str] {
        &self.skipped
    }
}

impl Deref for Answered {
    type Target = Response;

    fn deref(&self) -> &Response {
        &self.response
    }
}
