//! The tables in memory and the statements on them. A statement that fails has changed nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;
use workflow::seam::{
    Advance, Backlog, Beat, Cancel, Census, FailedAttempt, Failure, Filter, Lease, NewKey, PointRow,
    Position, ReachedPoint, Record, Status, StoredResponse, Take, Taken, Then, To,
};
use workflow::{Key, StagedJob, StoreError};

use super::row::Row;

/// A staged job, and whose it is.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) key_id: Uuid,
    pub(super) job: StagedJob,
    pub(super) delivered: bool,
}

/// All tables. A clone is a transaction's own copy; it shares the rows that the transaction does not change.
#[derive(Clone, Default)]
pub(super) struct Database {
    rows: BTreeMap<Uuid, Arc<Row>>,
    ids: HashMap<(String, String), Uuid>,
    pub(super) jobs: Vec<Job>,
    /// The generation of the last life of a key whose effect keys must not be used again.
    tombstones: BTreeMap<(String, String), i32>,
    /// What the application's steps have written.
    pub(super) pad: BTreeMap<String, Value>,
}

impl Database {
    pub(super) fn insert(
        &mut self,
        new: &NewKey,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let name = (new.scope.clone(), new.value.clone());
        let buried = self.tombstones.get(&name).is_some_and(|generation| *generation >= new.generation);
        if buried || self.ids.contains_key(&name) {
            return Ok(None);
        }
        if self.rows.contains_key(&new.id) {
            return Err(StoreError::Refused {
                doing: "claim",
                source: "the row's id was used before".into(),
            });
        }
        self.ids.insert(name, new.id);
        self.rows.insert(new.id, Arc::new(Row::new(new, now)));
        Ok(Some(now))
    }

    pub(super) fn take(&mut self, take: Take<'_>, now: DateTime<Utc>) -> Option<Taken> {
        let id = *self.ids.get(&(take.scope.to_owned(), take.value.to_owned()))?;
        let row = self.row(id)?;
        if !row.is_claimable(&take, now) {
            return None;
        }
        // A claim whose reply was lost is taken again: it is one attempt, of one holder.
        if row.claim_id != take.claim_id {
            row.attempts += 1;
            row.step_attempts += 1;
            row.fence += 1;
        }
        row.claim_id = take.claim_id;
        if row.status == Status::Waiting {
            row.status = Status::Running;
        }
        row.wake_at = None;
        row.lease_expires_at = Some(now + take.lease);
        row.last_run_at = now;
        Some(row.taken())
    }

    pub(super) fn generation(&self, key: &Key) -> i32 {
        let name = (key.scope().to_owned(), key.value().to_owned());
        self.tombstones.get(&name).map_or(0, |generation| generation + 1)
    }

    pub(super) fn find(&self, key: &Key, now: DateTime<Utc>) -> Option<Record> {
        let id = self.ids.get(&(key.scope().to_owned(), key.value().to_owned()))?;
        self.rows.get(id).map(|row| row.record(now))
    }

    pub(super) fn walk(
        &mut self,
        lease: Lease,
        walk: &[Advance<'_>],
        status: Status,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, StoreError> {
        if self.row(lease.id).is_some_and(|row| row.is_cancelled()) {
            return Err(StoreError::LeaseLost);
        }
        self.moved(lease, walk, status, now)
    }

    /// All of it or nothing: only the first advance can meet another's lease or point.
    fn moved(
        &mut self,
        lease: Lease,
        walk: &[Advance<'_>],
        status: Status,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, StoreError> {
        let (Some(first), Some(last)) = (walk.first(), walk.last()) else {
            return Err(StoreError::LeaseLost);
        };
        let row = self.row(lease.id).filter(|row| {
            row.fence == lease.fence && row.recovery_point == first.prev && row.status == status
        });
        let row = row.ok_or(StoreError::LeaseLost)?;
        row.reach(lease, walk, now);
        row.seq = last.seq;
        row.recovery_point = last.name().to_owned();
        (row.attempts, row.last_error) = (1, None);
        row.data = last.data().map(<[u8]>::to_vec);
        match last.to {
            To::Point { .. } => {
                (row.step_attempts, row.first_attempt_at) = (1, Some(now));
                row.lease_expires_at = Some(now + last.lease);
            }
            To::Finished { response, retention } => {
                // There is no next step.
                (row.step_attempts, row.first_attempt_at) = (0, None);
                row.status = Status::Finished;
                row.response = Some(response.clone());
                row.finished_at = Some(now);
                // A retention without end never ends.
                row.expires_at =
                    TimeDelta::from_std(retention).ok().and_then(|kept| now.checked_add_signed(kept));
                row.lease_expires_at = None;
            }
        }
        Ok(now)
    }

    pub(super) fn stage(&mut self, lease: Lease, jobs: &[StagedJob]) {
        let of = |job: &StagedJob| Job { key_id: lease.id, job: job.clone(), delivered: false };
        self.jobs.extend(jobs.iter().map(of));
    }

    pub(super) fn deliver(&mut self, message_id: Uuid) -> bool {
        let mut waiting = self.jobs.iter_mut().filter(|job| job.job.message_id == message_id);
        waiting.next().is_some_and(|job| !std::mem::replace(&mut job.delivered, true))
    }

    pub(super) fn bury(&mut self, lease: Lease, key: &Key) {
        if let Some(row) = self.rows.get(&lease.id) {
            let name = (key.scope().to_owned(), key.value().to_owned());
            self.tombstones.insert(name, row.key.generation);
        }
    }

    pub(super) fn reap(&mut self, limit: u32, now: DateTime<Utc>) -> u32 {
        let waiting = self.jobs.iter().filter(|job| !job.delivered);
        let waiting: HashSet<Uuid> = waiting.map(|job| job.key_id).collect();
        let over = self.rows.iter().filter(|(id, row)| {
            row.status == Status::Finished
                && row.expires_at.is_some_and(|at| at <= now)
                && !waiting.contains(*id)
        });
        let mut over: Vec<_> = over.map(|(id, row)| (row.expires_at, *id)).collect();
        over.sort_unstable();
        over.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let over: HashSet<Uuid> = over.into_iter().map(|(_, id)| id).collect();
        self.rows.retain(|id, _| !over.contains(id));
        self.ids.retain(|_, id| !over.contains(id));
        self.jobs.retain(|job| !over.contains(&job.key_id));
        u32::try_from(over.len()).unwrap_or(u32::MAX)
    }

    /// What the key has reached is undone from here.
    pub(super) fn turn(
        &mut self,
        lease: Lease,
        walk: &[Advance<'_>],
        answer: Option<&StoredResponse>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, StoreError> {
        if self.row(lease.id).is_some_and(|row| row.is_cancelled() == answer.is_some()) {
            return Err(StoreError::LeaseLost);
        }
        let at = self.moved(lease, walk, Status::Running, now)?;
        let row = self.row(lease.id).ok_or(StoreError::LeaseLost)?;
        row.status = Status::Undoing;
        row.response = answer.cloned().or(row.response.take());
        Ok(at)
    }

    pub(super) fn points(&self, id: Uuid) -> Vec<ReachedPoint> {
        self.rows.get(&id).map(|row| row.reached()).unwrap_or_default()
    }

    pub(super) fn fail(
        &mut self,
        lease: Lease,
        failure: Failure<'_>,
        then: Then,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let row = self.row(lease.id).filter(|row| {
            row.is_leased_to(lease)
                // A call that is repeated because its reply was lost finds the next attempt counted.
                && (row.step_attempts == failure.attempt || row.step_attempts == failure.attempt + 1)
                && (failure.cancelled || !row.is_cancelled())
        });
        row.ok_or(StoreError::LeaseLost)?.fail(lease, failure, then, now);
        Ok(())
    }

    pub(super) fn cancel(&mut self, cancel: Cancel<'_>, now: DateTime<Utc>) -> bool {
        let id = self.ids.get(&(cancel.scope.to_owned(), cancel.value.to_owned())).copied();
        let goes_forward = |row: &&mut Row| {
            row.key.workflow == cancel.workflow
                && cancel.points.contains(&&*row.recovery_point)
                && matches!(row.status, Status::Running | Status::Waiting | Status::NeedsAttention)
        };
        let Some(row) = id.and_then(|id| self.row(id)).filter(goes_forward) else { return false };
        row.cancel_requested_at.get_or_insert(now);
        row.response.get_or_insert_with(|| cancel.answer.clone());
        row.fence += i64::from(row.status != Status::Running);
        (row.status, row.wake_at) = (Status::Running, None);
        true
    }

    pub(super) fn unpark(&mut self, key: &Key) -> bool {
        let id = self.ids.get(&(key.scope().to_owned(), key.value().to_owned())).copied();
        let parked = |row: &&mut Row| match row.status {
            Status::Waiting | Status::NeedsAttention => true,
            Status::Undoing => row.wake_at.is_some(),
            _ => false,
        };
        let Some(row) = id.and_then(|id| self.row(id)).filter(parked) else { return false };
        row.status = if row.recovery_point.contains('.') { Status::Undoing } else { Status::Running };
        row.wake_at = None;
        row.fence += 1;
        true
    }

    pub(super) fn release(&mut self, lease: Lease, error: Option<&str>) {
        // A release that is repeated because its reply was lost finds no lease, and counts nothing.
        if let Some(row) = self.row(lease.id).filter(|row| row.is_leased_to(lease)) {
            row.lease_expires_at = None;
            row.attempts = (row.attempts - 1).max(0);
            row.last_error = error.map(str::to_owned);
        }
    }

    pub(super) fn heartbeat(&mut self, leases: &[Lease], ttl: Duration, now: DateTime<Utc>) -> Vec<Beat> {
        let beat = |lease: &Lease| match self.row(lease.id).filter(|row| row.is_leased_to(*lease)) {
            Some(row) => {
                row.lease_expires_at = Some(now + ttl);
                if row.is_cancelled() { Beat::Cancelled } else { Beat::Renewed }
            }
            None => Beat::Lost,
        };
        leases.iter().map(beat).collect()
    }

    pub(super) fn settle(&self, id: Uuid) -> Option<Position> {
        self.rows.get(&id).map(|row| row.position())
    }

    pub(super) fn list(&self, filter: &Filter, now: DateTime<Utc>) -> Vec<Record> {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let rows = self.rows.iter().filter(|(id, row)| {
            filter.after.is_none_or(|after| **id > after)
                && is(&filter.scope, &row.key.scope)
                && is(&filter.workflow, &row.key.workflow)
                && is(&filter.recovery_point, &row.recovery_point)
                && filter.status.is_none_or(|status| status == row.status)
        });
        let page = usize::try_from(filter.page()).unwrap_or(usize::MAX);
        rows.take(page).map(|(_, row)| row.record(now)).collect()
    }

    pub(super) fn journal(&self, ids: &[Uuid]) -> Vec<PointRow> {
        let rows = self.rows.iter().filter(|(id, _)| ids.contains(id));
        rows.flat_map(|(_, row)| row.points.iter().cloned()).collect()
    }

    pub(super) fn failures(&self, ids: &[Uuid]) -> Vec<FailedAttempt> {
        let rows = self.rows.iter().filter(|(id, _)| ids.contains(id));
        rows.flat_map(|(_, row)| row.failures.iter().cloned()).collect()
    }

    pub(super) fn census(&self) -> Vec<Census> {
        let mut count = BTreeMap::<_, i64>::new();
        for row in self.rows.values().filter(|row| row.status != Status::Finished) {
            *count.entry((&row.key.workflow, &row.recovery_point)).or_default() += 1;
        }
        let census = count.into_iter().map(|((workflow, recovery_point), keys)| Census {
            workflow: workflow.clone(),
            recovery_point: recovery_point.clone(),
            keys,
        });
        census.collect()
    }

    pub(super) fn backlog(&self, now: DateTime<Utc>) -> Backlog {
        let unfinished = self.rows.values().filter(|row| row.status != Status::Finished);
        let parked = unfinished.clone().filter(|row| row.status == Status::NeedsAttention).count();
        let oldest = unfinished.map(|row| row.created_at).min();
        let waiting = self.jobs.iter().filter(|job| !job.delivered);
        Backlog {
            oldest: oldest.map(|at| (now - at).to_std().unwrap_or_default()),
            needs_attention: i64::try_from(parked).unwrap_or(i64::MAX),
            outbox: i64::try_from(waiting.count()).unwrap_or(i64::MAX),
        }
    }

    fn row(&mut self, id: Uuid) -> Option<&mut Row> {
        self.rows.get_mut(&id).map(Arc::make_mut)
    }
}
