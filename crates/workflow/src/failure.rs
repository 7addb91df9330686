//! What goes through the seam when an attempt has reached nothing: plain data, no rules.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// An attempt of a step that has reached nothing.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// The number of the point that it did not reach, from 1.
    pub seq: i32,
    /// The step.
    pub step: &'a str,
    /// Which attempt of this step it was.
    pub attempt: i32,
    /// Why.
    pub error: &'a str,
    /// Whether nobody knows if it has done its work.
    pub in_doubt: bool,
    /// Whether the run knows that the key is cancelled.
    pub cancelled: bool,
}

/// What becomes of a key after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next attempt begins, and the lease is so long from here.
    Again(Duration),
    /// The run goes on with something else, and keeps its lease.
    Stay,
    /// The lease is given back: anybody may claim the key at once.
    Free,
    /// The lease is given back, and the key is `waiting` for so long.
    Later(Duration),
    /// The lease is given back, and the key `needs_attention`.
    Park,
}

/// An attempt that has reached nothing, for those who look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The key's row.
    pub key_id: Uuid,
    /// The number of the point that it did not reach, from 1.
    pub seq: i32,
    /// The step.
    pub step: String,
    /// Which attempt of this step it was.
    pub attempt: i32,
    /// Why.
    pub error: String,
    /// Whether nobody knows if it has done its work.
    pub in_doubt: bool,
    /// When that was recorded.
    pub failed_at: DateTime<Utc>,
    /// The fence of the run that made it.
    pub fence: i64,
}
