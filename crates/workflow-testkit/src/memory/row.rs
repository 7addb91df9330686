//! One key's row in memory.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use workflow::STARTED;
use workflow::seam::{
    Advance, FailedAttempt, Failure, Lease, NewKey, PointRow, Position, ReachedPoint, Record, Status,
    StoredResponse, Take, Taken, Then,
};

/// A key's row with the points that it has reached.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) key: NewKey,
    pub(super) status: Status,
    pub(super) recovery_point: String,
    pub(super) seq: i32,
    pub(super) data: Option<Vec<u8>>,
    pub(super) fence: i64,
    pub(super) claim_id: Uuid,
    pub(super) lease_expires_at: Option<DateTime<Utc>>,
    pub(super) attempts: i32,
    pub(super) step_attempts: i32,
    pub(super) first_attempt_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) last_run_at: DateTime<Utc>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) last_error: Option<String>,
    pub(super) response: Option<StoredResponse>,
    pub(super) points: Vec<PointRow>,
    /// The data of each of these; none of the response.
    pub(super) data_of: Vec<Vec<u8>>,
    pub(super) wake_at: Option<DateTime<Utc>>,
    pub(super) cancel_requested_at: Option<DateTime<Utc>>,
    pub(super) failures: Vec<FailedAttempt>,
}

impl Row {
    pub(super) fn new(key: &NewKey, now: DateTime<Utc>) -> Self {
        Self {
            key: key.clone(),
            status: Status::Running,
            recovery_point: STARTED.to_owned(),
            seq: 0,
            data: None,
            fence: 1,
            claim_id: key.claim_id,
            lease_expires_at: Some(now + key.lease),
            attempts: 1,
            step_attempts: 1,
            first_attempt_at: Some(now),
            created_at: now,
            last_run_at: now,
            finished_at: None,
            expires_at: None,
            last_error: None,
            response: None,
            points: Vec::new(),
            data_of: Vec::new(),
            wake_at: None,
            cancel_requested_at: None,
            failures: Vec::new(),
        }
    }

    /// Whether this claim may have the row.
    pub(super) fn is_claimable(&self, take: &Take<'_>, now: DateTime<Utc>) -> bool {
        let free = self.lease_expires_at.is_none_or(|end| end <= now) || self.claim_id == take.claim_id;
        let goes_on = match self.status {
            Status::Running | Status::Waiting | Status::Undoing => self.wake_at.is_none_or(|at| at <= now),
            _ => false,
        };
        free && goes_on
            && self.key.workflow == take.workflow
            && take.digest.is_none_or(|digest| digest == self.key.digest)
            && (take.points.contains(&&*self.recovery_point) || self.status == Status::Undoing)
    }

    /// Whether this lease is still out: neither taken over, nor given back, nor ended.
    pub(super) fn is_leased_to(&self, lease: Lease) -> bool {
        self.fence == lease.fence
            && self.lease_expires_at.is_some()
            && matches!(self.status, Status::Running | Status::Undoing)
    }

    /// Whether a cancel was asked for, and nothing is undone yet.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel_requested_at.is_some() && !self.recovery_point.contains('.')
    }

    pub(super) fn taken(&self) -> Taken {
        Taken {
            lease: Lease { id: self.key.id, fence: self.fence },
            recovery_point: self.recovery_point.clone(),
            seq: self.seq,
            data: self.data.clone(),
            request_params: self.key.request_params.clone(),
            effect_seed: self.key.effect_seed.to_vec(),
            attempts: self.attempts,
            step_attempts: self.step_attempts,
            failures: self.known_failures(),
            first_attempt_at: self.first_attempt_at.unwrap_or(self.last_run_at),
            created_at: self.created_at,
            taken_at: self.last_run_at,
            answer: self.response.clone(),
        }
    }

    /// Of how many attempts of the next step it is known that they have done nothing.
    fn known_failures(&self) -> i32 {
        let known = self.failures.iter().filter(|failed| failed.seq == self.seq + 1 && !failed.in_doubt);
        i32::try_from(known.count()).unwrap_or(i32::MAX)
    }

    /// A row in the journal for each of these.
    pub(super) fn reach(&mut self, lease: Lease, walk: &[Advance<'_>], now: DateTime<Utc>) {
        for advance in walk {
            self.data_of.extend(advance.data().map(<[u8]>::to_vec));
            self.points.push(PointRow {
                key_id: lease.id,
                seq: advance.seq,
                name: advance.name().to_owned(),
                step: advance.step.to_owned(),
                attempts: advance.attempts,
                first_attempt_at: advance.first_attempt_at.unwrap_or(now),
                reached_at: now,
                fence: lease.fence,
            });
        }
    }

    /// The points with their data.
    pub(super) fn reached(&self) -> Vec<ReachedPoint> {
        let reached = self.points.iter().zip(&self.data_of).map(|(point, data)| ReachedPoint {
            seq: point.seq,
            name: point.name.clone(),
            step: point.step.clone(),
            data: data.clone(),
        });
        reached.collect()
    }

    /// A failed attempt, and what comes then.
    pub(super) fn fail(&mut self, lease: Lease, failure: Failure<'_>, then: Then, now: DateTime<Utc>) {
        let goes_on = matches!(then, Then::Again(_) | Then::Stay);
        match then {
            Then::Again(ttl) => {
                self.step_attempts = failure.attempt + 1;
                self.lease_expires_at = Some(now + ttl);
            }
            Then::Later(pause) => {
                self.wake_at = Some(now + pause);
                if self.status == Status::Running {
                    self.status = Status::Waiting;
                }
            }
            Then::Park => self.status = Status::NeedsAttention,
            Then::Stay | Then::Free => {}
        }
        if !goes_on {
            self.lease_expires_at = None;
            self.attempts = (self.attempts - 1).max(0);
        }
        self.last_error = Some(failure.error.to_owned());
        let known = |noted: &FailedAttempt| noted.seq == failure.seq && noted.attempt == failure.attempt;
        if !self.failures.iter().any(known) {
            self.failures.push(FailedAttempt {
                key_id: lease.id,
                seq: failure.seq,
                step: failure.step.to_owned(),
                attempt: failure.attempt,
                error: failure.error.to_owned(),
                in_doubt: failure.in_doubt,
                failed_at: now,
                fence: lease.fence,
            });
        }
    }

    pub(super) fn position(&self) -> Position {
        Position {
            fence: self.fence,
            status: self.status,
            recovery_point: self.recovery_point.clone(),
            first_attempt_at: self.first_attempt_at,
            answer: self.response.clone(),
        }
    }

    pub(super) fn record(&self, now: DateTime<Utc>) -> Record {
        let left = self.lease_expires_at.and_then(|end| (end - now).to_std().ok());
        Record {
            id: self.key.id,
            scope: self.key.scope.clone(),
            value: self.key.value.clone(),
            workflow: self.key.workflow.clone(),
            version: i32::try_from(self.key.version).unwrap_or(i32::MAX),
            digest: self.key.digest.to_vec(),
            status: self.status,
            recovery_point: self.recovery_point.clone(),
            fence: self.fence,
            attempts: self.attempts,
            step_attempts: self.step_attempts,
            first_attempt_at: self.first_attempt_at,
            created_at: self.created_at,
            last_run_at: self.last_run_at,
            cancel_requested_at: self.cancel_requested_at,
            finished_at: self.finished_at,
            lease_left: left.unwrap_or(Duration::ZERO),
            wake_left: self.wake_at.and_then(|at| (at - now).to_std().ok()).unwrap_or(Duration::ZERO),
            last_error: self.last_error.clone(),
            // While a key is undone, its answer is not given yet.
            response: self.response.clone().filter(|_| self.status == Status::Finished),
        }
    }
}
