//! One key's row in memory.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use workflow::STARTED;
use workflow::seam::{Lease, NewKey, PointRow, Position, Record, Status, StoredResponse, Take, Taken};

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
    pub(super) last_error: Option<String>,
    pub(super) response: Option<StoredResponse>,
    pub(super) points: Vec<PointRow>,
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
            last_error: None,
            response: None,
            points: Vec::new(),
        }
    }

    /// Whether this claim may have the row.
    pub(super) fn is_claimable(&self, take: &Take<'_>, now: DateTime<Utc>) -> bool {
        let free = self.lease_expires_at.is_none_or(|end| end <= now) || self.claim_id == take.claim_id;
        free && self.status == Status::Running
            && self.key.workflow == take.workflow
            && take.digest.is_none_or(|digest| digest == self.key.digest)
            && take.points.contains(&&*self.recovery_point)
    }

    /// Whether this lease is still out: neither taken over, nor given back, nor ended.
    pub(super) fn is_leased_to(&self, lease: Lease) -> bool {
        self.fence == lease.fence
            && self.lease_expires_at.is_some()
            && matches!(self.status, Status::Running | Status::Undoing)
    }

    pub(super) fn taken(&self) -> Taken {
        Taken {
            lease: Lease { id: self.key.id, fence: self.fence },
            recovery_point: self.recovery_point.clone(),
            seq: self.seq,
            data: self.data.clone(),
            request_params: self.key.request_params.clone(),
            effect_seed: self.key.effect_seed.to_vec(),
            step_attempts: self.step_attempts,
            first_attempt_at: self.first_attempt_at.unwrap_or(self.last_run_at),
        }
    }

    pub(super) fn position(&self) -> Position {
        Position {
            fence: self.fence,
            status: self.status,
            recovery_point: self.recovery_point.clone(),
            first_attempt_at: self.first_attempt_at,
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
            finished_at: self.finished_at,
            lease_left: left.unwrap_or(Duration::ZERO),
            last_error: self.last_error.clone(),
            response: self.response.clone(),
        }
    }
}
