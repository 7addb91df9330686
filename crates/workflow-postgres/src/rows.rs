//! Rows of PostgreSQL as the plain data of the seam.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;
use workflow::seam::{
    Backlog, Beat, Census, FailedAttempt, Lease, PointRow, Position, ReachedPoint, Record, Status,
    StoredResponse, Taken, Then,
};
use workflow::{STARTED, StoreError};

/// An interval for PostgreSQL, whose own is longer than any retention.
pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: micros(duration) }
}

/// The same where there are many: sqlx has no arrays of intervals.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

fn status_of(row: &PgRow) -> Result<Status, StoreError> {
    let name: String = get(row, "status")?;
    Status::parse(&name).ok_or_else(|| StoreError::Damaged(format!("the status {name:?}")))
}

fn get<'r, T>(row: &'r PgRow, column: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(|e| StoreError::Damaged(e.to_string()))
}

pub(crate) fn lease(row: &PgRow) -> Result<Lease, StoreError> {
    Ok(Lease { id: get(row, "id")?, fence: get(row, "fence")? })
}

/// A lease that was extended.
pub(crate) fn beat(row: &PgRow) -> Result<(Lease, Beat), StoreError> {
    Ok((lease(row)?, if get(row, "cancelled")? { Beat::Cancelled } else { Beat::Renewed }))
}

/// A taken row, and the row of the point that it stands at: none at `started`.
pub(crate) fn taken(row: &PgRow, reached: Option<&PgRow>) -> Result<Taken, StoreError> {
    let recovery_point: String = get(row, "recovery_point")?;
    let (seq, name, data) = match reached {
        Some(reached) => (get(reached, "seq")?, get(reached, "name")?, get(reached, "data")?),
        None => (0, STARTED.to_owned(), None),
    };
    if name != recovery_point {
        return Err(StoreError::Damaged(format!(
            "it stands at {recovery_point:?}, its last point is {name:?}"
        )));
    }
    Ok(Taken {
        lease: lease(row)?,
        recovery_point,
        seq,
        data,
        request_params: get(row, "request_params")?,
        effect_seed: get(row, "effect_seed")?,
        attempts: get(row, "attempts")?,
        step_attempts: get(row, "step_attempts")?,
        failures: 0,
        first_attempt_at: get(row, "first_attempt_at")?,
        created_at: get(row, "created_at")?,
        taken_at: get(row, "taken_at")?,
        answer: response(row)?,
    })
}

/// What comes after a failed attempt, by its name in the statement, and after how long.
pub(crate) fn then(then: Then) -> (&'static str, Duration) {
    match then {
        Then::Again(lease) => ("again", lease),
        Then::Stay => ("stay", Duration::ZERO),
        Then::Free => ("free", Duration::ZERO),
        Then::Later(pause) => ("later", pause),
        Then::Park => ("park", Duration::ZERO),
    }
}

/// PostgreSQL's text knows no NUL.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) fn record(row: &PgRow) -> Result<Record, StoreError> {
    let status = status_of(row)?;
    // A finished key has no next step: what stands there is of the last one.
    let goes_on = status != Status::Finished;
    Ok(Record {
        id: get(row, "id")?,
        scope: get(row, "scope")?,
        value: get(row, "idempotency_key")?,
        workflow: get(row, "workflow")?,
        version: get(row, "version")?,
        digest: get(row, "digest")?,
        status,
        recovery_point: get(row, "recovery_point")?,
        fence: get(row, "fence")?,
        attempts: get(row, "attempts")?,
        step_attempts: if goes_on { get(row, "step_attempts")? } else { 0 },
        first_attempt_at: if goes_on { get(row, "first_attempt_at")? } else { None },
        created_at: get(row, "created_at")?,
        last_run_at: get(row, "last_run_at")?,
        cancel_requested_at: get(row, "cancel_requested_at")?,
        finished_at: get(row, "finished_at")?,
        lease_left: Duration::from_micros(get::<i64>(row, "lease_left")?.unsigned_abs()),
        wake_left: Duration::from_micros(get::<i64>(row, "wake_left")?.unsigned_abs()),
        last_error: get(row, "last_error")?,
        // While a key is undone, its answer is not given yet.
        response: if goes_on { None } else { response(row)? },
    })
}

fn response(row: &PgRow) -> Result<Option<StoredResponse>, StoreError> {
    let Some(code) = get::<Option<i32>>(row, "response_code")? else { return Ok(None) };
    let code = u16::try_from(code).map_err(|_| StoreError::Damaged(format!("the response code {code}")))?;
    Ok(Some(StoredResponse {
        code,
        headers: get(row, "response_headers")?,
        body: get(row, "response_body")?,
    }))
}

pub(crate) fn position(row: &PgRow) -> Result<Position, StoreError> {
    Ok(Position {
        fence: get(row, "fence")?,
        status: status_of(row)?,
        recovery_point: get(row, "recovery_point")?,
        first_attempt_at: get(row, "first_attempt_at")?,
        answer: response(row)?,
    })
}

pub(crate) fn point(row: &PgRow) -> Result<PointRow, StoreError> {
    Ok(PointRow {
        key_id: get::<Uuid>(row, "key_id")?,
        seq: get(row, "seq")?,
        name: get(row, "name")?,
        step: get(row, "step")?,
        attempts: get(row, "attempts")?,
        first_attempt_at: get(row, "first_attempt_at")?,
        reached_at: get(row, "reached_at")?,
        fence: get(row, "fence")?,
    })
}

pub(crate) fn reached(row: &PgRow) -> Result<ReachedPoint, StoreError> {
    Ok(ReachedPoint {
        seq: get(row, "seq")?,
        name: get(row, "name")?,
        step: get(row, "step")?,
        data: get(row, "data")?,
    })
}

pub(crate) fn failure(row: &PgRow) -> Result<FailedAttempt, StoreError> {
    Ok(FailedAttempt {
        key_id: get::<Uuid>(row, "key_id")?,
        seq: get(row, "seq")?,
        step: get(row, "step")?,
        attempt: get(row, "attempt")?,
        error: get(row, "error")?,
        in_doubt: get(row, "in_doubt")?,
        failed_at: get(row, "failed_at")?,
        fence: get(row, "fence")?,
    })
}

pub(crate) fn backlog(row: &PgRow) -> Result<Backlog, StoreError> {
    let oldest = get::<Option<i64>>(row, "oldest")?;
    Ok(Backlog {
        oldest: oldest.map(|age| Duration::from_micros(u64::try_from(age).unwrap_or(0))),
        needs_attention: get(row, "needs_attention")?,
        outbox: get(row, "outbox")?,
    })
}

pub(crate) fn census(row: &PgRow) -> Result<Census, StoreError> {
    Ok(Census {
        workflow: get(row, "workflow")?,
        recovery_point: get(row, "recovery_point")?,
        keys: get(row, "keys")?,
    })
}
