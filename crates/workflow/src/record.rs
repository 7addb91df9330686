//! What goes through the seam between runner and store: plain data, no rules.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::advance::StoredResponse;

/// The right to write to a key: its row and the fence under which it was claimed. Every write names both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The row. Drawn by the client and never used again.
    pub id: Uuid,
    /// The fencing token: every claim and every change from outside makes it larger.
    pub fence: i64,
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// A run has it, or its lease ran out.
    Running,
    /// It waits for a time, and then for somebody to claim it.
    Waiting,
    /// A final answer was given, and the steps before it are being undone.
    Undoing,
    /// A person has to decide.
    NeedsAttention,
    /// The response is stored.
    Finished,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::Waiting, Self::Undoing, Self::NeedsAttention, Self::Finished];

    /// Its stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Undoing => "undoing",
            Self::NeedsAttention => "needs_attention",
            Self::Finished => "finished",
        }
    }

    /// The status of this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key that is claimed for the first time: a new row, at `started`, with fence 1.
#[derive(Clone)]
pub struct NewKey {
    /// The row's id.
    pub id: Uuid,
    /// This claim's id: a claim whose reply was lost is ours only if the row carries it.
    pub claim_id: Uuid,
    /// Whose key it is.
    pub scope: String,
    /// The key's value.
    pub value: String,
    /// The workflow.
    pub workflow: String,
    /// The workflow's version.
    pub version: u32,
    /// The digest of the request.
    pub digest: [u8; 32],
    /// Which version of the digest.
    pub digest_version: i16,
    /// What the effect keys are made from.
    pub effect_seed: [u8; 32],
    /// Which life of this key it is, from 0. One whose key has a tombstone of this generation is not inserted.
    pub generation: i32,
    /// The request's method, if it came over HTTP.
    pub request_method: Option<String>,
    /// The request's path, if it came over HTTP.
    pub request_path: Option<String>,
    /// The request, sealed.
    pub request_params: Vec<u8>,
    /// How long the lease is.
    pub lease: Duration,
}

/// A claim of a row that exists: by compare-and-set, of an unfinished key without a live lease.
#[derive(Clone, Copy)]
pub struct Take<'a> {
    /// Whose key it is.
    pub scope: &'a str,
    /// The key's value.
    pub value: &'a str,
    /// This claim's id. A row that carries it already is ours: its reply was lost.
    pub claim_id: Uuid,
    /// Only a row of this workflow is taken.
    pub workflow: &'a str,
    /// Only a row with this digest is taken; `None` for who resumes without a request.
    pub digest: Option<&'a [u8]>,
    /// Only a row at one of these points is taken: a point that this build does not know is left as it is.
    pub points: &'a [&'a str],
    /// How long the lease is.
    pub lease: Duration,
}

/// A row that was taken: all that a run needs, so that nothing is read again until the key is finished.
#[derive(Clone)]
pub struct Taken {
    /// The right to write.
    pub lease: Lease,
    /// The point at which it stands.
    pub recovery_point: String,
    /// How many points it has reached.
    pub seq: i32,
    /// That point's data, sealed; `None` at `started`, whose data is the request.
    pub data: Option<Vec<u8>>,
    /// The request, sealed.
    pub request_params: Vec<u8>,
    /// What the effect keys are made from.
    pub effect_seed: Vec<u8>,
    /// Claims since the last progress that did not end in a release, this one included: more than one if a run crashed.
    pub attempts: i32,
    /// The next step's attempts, this one included.
    pub step_attempts: i32,
    /// How many of those attempts, this one aside, are known to have done nothing. Of the others nobody knows: their runs
    /// crashed, or their calls were not answered.
    pub failures: i32,
    /// When the next step was first attempted.
    pub first_attempt_at: DateTime<Utc>,
    /// When the key was first claimed.
    pub created_at: DateTime<Utc>,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// The answer that is stored when the key's steps are undone, sealed: it is being undone, or is cancelled. `None`
    /// while it goes forward.
    pub answer: Option<StoredResponse>,
}

/// A cancel from outside, of an unfinished key that goes forward.
#[derive(Clone, Copy)]
pub struct Cancel<'a> {
    /// Whose key it is.
    pub scope: &'a str,
    /// The key's value.
    pub value: &'a str,
    /// Only a row of this workflow is cancelled.
    pub workflow: &'a str,
    /// Only a row at one of these points is cancelled: those before the point of no return.
    pub points: &'a [&'a str],
    /// What is answered when the key's steps are undone, sealed.
    pub answer: &'a StoredResponse,
}

/// A point that a key has reached, with its data: what an undo needs.
#[derive(Clone)]
pub struct ReachedPoint {
    /// Its number, from 1.
    pub seq: i32,
    /// Its name.
    pub name: String,
    /// The step that reached it.
    pub step: String,
    /// Its data, sealed.
    pub data: Vec<u8>,
}

/// Where a key's row stands, read under its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The fence.
    pub fence: i64,
    /// The status.
    pub status: Status,
    /// The recovery point.
    pub recovery_point: String,
    /// When the next step was first attempted.
    pub first_attempt_at: Option<DateTime<Utc>>,
    /// The answer, sealed: of a `running` key, that of the cancel.
    pub answer: Option<StoredResponse>,
}

/// What a heartbeat found of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// It was extended.
    Renewed,
    /// It was extended, and the key is to be turned back: a cancel was asked for.
    Cancelled,
    /// The row was locked by somebody just then: not extended, not lost.
    Missed,
    /// The row is gone, or claimed by another.
    Lost,
}

/// A key's row, for those who look.
#[derive(Clone)]
pub struct Record {
    /// The row.
    pub id: Uuid,
    /// Whose key it is.
    pub scope: String,
    /// The key's value.
    pub value: String,
    /// The workflow.
    pub workflow: String,
    /// The workflow's version.
    pub version: i32,
    /// The digest of the request.
    pub digest: Vec<u8>,
    /// The status.
    pub status: Status,
    /// The recovery point.
    pub recovery_point: String,
    /// The fence.
    pub fence: i64,
    /// Claims since the last progress that did not end in a release.
    pub attempts: i32,
    /// The next step's attempts.
    pub step_attempts: i32,
    /// When the next step was first attempted.
    pub first_attempt_at: Option<DateTime<Utc>>,
    /// When the key was first claimed.
    pub created_at: DateTime<Utc>,
    /// When the key was last claimed.
    pub last_run_at: DateTime<Utc>,
    /// When a cancel was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When the response was stored.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long the lease still lasts; zero if there is none.
    pub lease_left: Duration,
    /// How long a waiting key still waits.
    pub wake_left: Duration,
    /// Why the last run stopped.
    pub last_error: Option<String>,
    /// The response, sealed.
    pub response: Option<StoredResponse>,
}

/// One point that a key has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointRow {
    /// The key's row.
    pub key_id: Uuid,
    /// Its number, from 1.
    pub seq: i32,
    /// The point.
    pub name: String,
    /// The step that reached it.
    pub step: String,
    /// The step's attempts.
    pub attempts: i32,
    /// When the step was first attempted.
    pub first_attempt_at: DateTime<Utc>,
    /// When the point was reached.
    pub reached_at: DateTime<Utc>,
    /// The fence of the run that reached it.
    pub fence: i64,
}

/// Which keys to list. Oldest first, a page at a time.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only keys of this scope.
    pub scope: Option<String>,
    /// Only keys of this workflow.
    pub workflow: Option<String>,
    /// Only keys of this status.
    pub status: Option<Status>,
    /// Only keys at this recovery point.
    pub recovery_point: Option<String>,
    /// Only keys after this row: the last one of the page before.
    pub after: Option<Uuid>,
    /// At most so many; 100 if it is zero.
    pub limit: u32,
}

impl Filter {
    /// The page's size.
    pub fn page(&self) -> i64 {
        if self.limit == 0 { 100 } else { i64::from(self.limit) }
    }
}

/// What is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// How long ago the oldest unfinished key was first claimed; `None` if there is none.
    pub oldest: Option<Duration>,
    /// How many keys are parked, for a person to decide.
    pub needs_attention: i64,
    /// How many staged jobs are not delivered.
    pub outbox: i64,
}

/// How many unfinished keys stand at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// The workflow.
    pub workflow: String,
    /// The recovery point.
    pub recovery_point: String,
    /// How many keys.
    pub keys: i64,
}
