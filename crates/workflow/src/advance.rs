//! What goes through the seam when a key moves: plain data, no rules.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::point::FINISHED;
use crate::record::Lease;

/// A step forward: the point or the response that a step has reached.
#[derive(Clone, Copy)]
pub struct Advance<'a> {
    /// The point at which the row must still stand.
    pub prev: &'a str,
    /// The step that got further.
    pub step: &'a str,
    /// The number of the point that it reached, from 1.
    pub seq: i32,
    /// The step's attempts.
    pub attempts: i32,
    /// When the step was first attempted; `None` if that was within the transaction that writes this.
    pub first_attempt_at: Option<DateTime<Utc>>,
    /// What it reached.
    pub to: To<'a>,
    /// How long the lease is from here.
    pub lease: Duration,
}

impl Advance<'_> {
    /// The name of the point that it reached: `finished` for the response.
    pub fn name(&self) -> &str {
        match self.to {
            To::Point { name, .. } => name,
            To::Finished { .. } => FINISHED,
        }
    }

    /// The point's data, sealed; `None` for the response.
    pub fn data(&self) -> Option<&[u8]> {
        match self.to {
            To::Point { data, .. } => Some(data),
            To::Finished { .. } => None,
        }
    }

    /// The response, and how long it is replayed.
    pub fn response(&self) -> Option<(&StoredResponse, Duration)> {
        match self.to {
            To::Point { .. } => None,
            To::Finished { response, retention } => Some((response, retention)),
        }
    }
}

/// A step forward that outlives who made it: for a store that commits it with others.
#[derive(Clone)]
pub struct OwnedAdvance {
    /// The right to write.
    pub lease: Lease,
    prev: String,
    step: String,
    seq: i32,
    attempts: i32,
    first_attempt_at: Option<DateTime<Utc>>,
    to: OwnedTo,
    ttl: Duration,
}

#[derive(Clone)]
enum OwnedTo {
    Point { name: String, data: Vec<u8> },
    Finished { response: StoredResponse, retention: Duration },
}

impl OwnedAdvance {
    /// A copy.
    pub fn new(lease: Lease, advance: Advance<'_>) -> Self {
        Self {
            lease,
            prev: advance.prev.to_owned(),
            step: advance.step.to_owned(),
            seq: advance.seq,
            attempts: advance.attempts,
            first_attempt_at: advance.first_attempt_at,
            to: match advance.to {
                To::Point { name, data } => OwnedTo::Point { name: name.to_owned(), data: data.to_owned() },
                To::Finished { response, retention } => {
                    OwnedTo::Finished { response: response.clone(), retention }
                }
            },
            ttl: advance.lease,
        }
    }

    /// What was copied.
    pub fn get(&self) -> Advance<'_> {
        Advance {
            prev: &self.prev,
            step: &self.step,
            seq: self.seq,
            attempts: self.attempts,
            first_attempt_at: self.first_attempt_at,
            to: match &self.to {
                OwnedTo::Point { name, data } => To::Point { name, data },
                OwnedTo::Finished { response, retention } => To::Finished { response, retention: *retention },
            },
            lease: self.ttl,
        }
    }
}

/// What a step has reached, sealed.
#[derive(Clone, Copy)]
pub enum To<'a> {
    /// A recovery point.
    Point {
        /// Its stored name.
        name: &'a str,
        /// Its data.
        data: &'a [u8],
    },
    /// The response: the key is finished, the lease given back.
    Finished {
        /// What is stored of the response.
        response: &'a StoredResponse,
        /// How long it is replayed at least.
        retention: Duration,
    },
}

/// A response as it is stored: headers (a JSON array of pairs) and body sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The status.
    pub code: u16,
    /// The headers.
    pub headers: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// The status only: the rest may hold what must not stand in a log.
impl std::fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredResponse({})", self.code)
    }
}
