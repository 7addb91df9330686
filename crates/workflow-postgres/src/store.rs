//! The seam, statement by statement: each write carries its guards in its own `WHERE`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;
use workflow::seam::{
    Advance, Backlog, Beat, Cancel, Census, FailedAttempt, Failure, Filter, Lease, NewKey, OwnedAdvance,
    PointRow, Position, ReachedPoint, Record, Status, StoredResponse, Take, Taken, Then, key_hash,
};
use workflow::{Key, StagedJob, Store, StoreError};

use crate::error::{committing, harmless};
use crate::postgres::{Conn, Postgres, apart};
use crate::rows::{self, interval};
use crate::tx::Tx;
use crate::writes::Release;

impl Store for Postgres {
    type Conn = PgConnection;
    type Tx = Tx;

    async fn insert(&self, new: &NewKey) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.committers.claims.write(new.clone()).await
    }

    async fn take(&self, take: Take<'_>) -> Result<Option<Taken>, StoreError> {
        let update = self
            .now(self.sql.take)
            .bind(take.scope)
            .bind(take.value)
            .bind(take.workflow)
            .bind(take.claim_id)
            .bind(take.digest)
            .bind(take.points)
            .bind(interval(take.lease));
        let mut conn = self.conn().await?;
        let taken = update.fetch_optional(&mut *conn).await;
        let Some(row) = taken.map_err(committing("claiming"))? else { return conn.answered(Ok(None)) };
        let taken = self.taken(conn, &row).await;
        if taken.as_ref().is_err_and(|error| !error.is_transient()) {
            // A row that cannot be read stays free. What passes is asked again by the same claim.
            let _ = self.release(rows::lease(&row)?, None).await;
        }
        taken.map(Some)
    }

    async fn generation(&self, key: &Key) -> Result<i32, StoreError> {
        let hash = key_hash(key.value());
        let buried = sqlx::query_scalar(self.sql.buried).bind(key.scope()).bind(&hash[..]);
        let mut conn = self.conn().await?;
        let buried: Result<Option<i32>, _> = buried.fetch_optional(&mut *conn).await;
        let buried = conn.answered(buried).map_err(harmless("looking for a tombstone"))?;
        Ok(buried.map_or(0, |generation| generation.saturating_add(1)))
    }

    async fn find(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let found = self.now(self.sql.find).bind(key.scope()).bind(key.value());
        let mut conn = self.conn().await?;
        let found = found.fetch_optional(&mut *conn).await;
        let found = conn.answered(found).map_err(harmless("looking up a key"))?;
        found.as_ref().map(rows::record).transpose()
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        self.begin_write().await
    }

    async fn advance_in(
        &self,
        tx: &mut Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
    ) -> Result<DateTime<Utc>, StoreError> {
        self.walk(tx, lease, walk, jobs, Status::Running).await
    }

    async fn undo_in(
        &self,
        tx: &mut Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        buried: Option<&Key>,
    ) -> Result<DateTime<Utc>, StoreError> {
        let at = self.walk(tx, lease, walk, jobs, Status::Undoing).await?;
        if let Some(key) = buried {
            let bury = self.now(self.sql.bury).bind(lease.id).bind(&key_hash(key.value())[..]);
            bury.execute(&mut **tx).await.map_err(harmless("leaving a tombstone"))?;
        }
        Ok(at)
    }

    async fn turn(
        &self,
        lease: Lease,
        walk: &[Advance<'_>],
        answer: Option<&StoredResponse>,
    ) -> Result<DateTime<Utc>, StoreError> {
        let mut conn = self.conn().await?;
        let turned = self.writes.turn(&mut conn, lease, walk, answer).await;
        conn.answered(turned).map_err(committing("turning round"))?.ok_or(StoreError::LeaseLost)
    }

    async fn points(&self, id: Uuid) -> Result<Vec<ReachedPoint>, StoreError> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query(self.sql.points).bind(id).fetch_all(&mut *conn).await;
        conn.answered(rows).map_err(harmless("reading the points"))?.iter().map(rows::reached).collect()
    }

    async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        tx.commit().await
    }

    async fn rollback(&self, tx: Tx) {
        tx.rollback().await;
    }

    async fn advance(&self, lease: Lease, advance: Advance<'_>) -> Result<DateTime<Utc>, StoreError> {
        self.committers.advances.write(OwnedAdvance::new(lease, advance)).await
    }

    async fn fail(&self, lease: Lease, failure: Failure<'_>, then: Then) -> Result<(), StoreError> {
        let (what, pause) = rows::then(then);
        let update = self
            .now(self.sql.fail)
            .bind(lease.id)
            .bind(lease.fence)
            .bind(failure.seq)
            .bind(failure.attempt)
            .bind(failure.step)
            .bind(rows::text(failure.error))
            .bind(failure.in_doubt)
            .bind(what)
            .bind(interval(pause))
            .bind(failure.cancelled);
        let mut conn = self.conn().await?;
        let noted = update.fetch_optional(&mut *conn).await;
        let noted = conn.answered(noted).map_err(committing("recording a failed attempt"))?;
        noted.map(drop).ok_or(StoreError::LeaseLost)
    }

    async fn cancel(&self, cancel: Cancel<'_>) -> Result<bool, StoreError> {
        let update = self
            .now(self.sql.cancel)
            .bind(cancel.scope)
            .bind(cancel.value)
            .bind(cancel.workflow)
            .bind(cancel.points)
            .bind(i32::from(cancel.answer.code))
            .bind(&cancel.answer.headers)
            .bind(&cancel.answer.body);
        let mut conn = self.conn().await?;
        let cancelled = update.execute(&mut *conn).await;
        Ok(conn.answered(cancelled).map_err(committing("cancelling a key"))?.rows_affected() == 1)
    }

    async fn unpark(&self, key: &Key) -> Result<bool, StoreError> {
        let update = sqlx::query(self.sql.unpark).bind(key.scope()).bind(key.value());
        let mut conn = self.conn().await?;
        let freed = update.execute(&mut *conn).await;
        Ok(conn.answered(freed).map_err(committing("letting a key go on"))?.rows_affected() == 1)
    }

    async fn release(&self, lease: Lease, error: Option<&str>) -> Result<(), StoreError> {
        let error = error.map(rows::text);
        self.committers.releases.write(Release { lease, error }).await
    }

    async fn settle(&self, lease: Lease) -> Result<Option<Position>, StoreError> {
        let mut conn = self.conn().await?;
        let found = sqlx::query(self.sql.settle).bind(lease.id).fetch_optional(&mut *conn).await;
        conn.answered(found).map_err(harmless("settling a doubt"))?.as_ref().map(rows::position).transpose()
    }

    fn heart(&self) -> Self {
        Self { pool: apart(&self.pool, 1), ..self.clone() }
    }

    async fn heartbeat(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Beat>, StoreError> {
        let ids: Vec<Uuid> = leases.iter().map(|lease| lease.id).collect();
        let fences: Vec<i64> = leases.iter().map(|lease| lease.fence).collect();
        let extend = self.now(self.sql.heartbeat).bind(interval(ttl)).bind(&ids).bind(&fences);
        let mut conn = self.conn().await?;
        let renewed = extend.fetch_all(&mut *conn).await.map_err(committing("extending leases"))?;
        let renewed: HashMap<Lease, Beat> = renewed.iter().map(rows::beat).collect::<Result<_, _>>()?;
        let mut held = HashSet::new();
        if renewed.len() < leases.len() {
            let look = sqlx::query(self.sql.held).bind(&ids).bind(&fences).fetch_all(&mut *conn).await;
            let look = look.map_err(harmless("extending leases"))?;
            held = look.iter().map(rows::lease).collect::<Result<_, _>>()?;
        }
        conn.answered(());
        let beat = |lease: &Lease| match renewed.get(lease) {
            Some(beat) => *beat,
            None if held.contains(lease) => Beat::Missed,
            None => Beat::Lost,
        };
        Ok(leases.iter().map(beat).collect())
    }

    async fn reap(&self, limit: u32) -> Result<u32, StoreError> {
        let reap = self.now(self.sql.reap).bind(i64::from(limit));
        let mut conn = self.conn().await?;
        let reaped = reap.fetch_one(&mut *conn).await;
        let reaped: i64 = conn.answered(reaped).map_err(committing("reaping"))?.get(0);
        Ok(u32::try_from(reaped).unwrap_or(u32::MAX))
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        let unfinished = filter.status.is_some_and(|status| status != Status::Finished);
        let list = self
            .now(if unfinished { self.sql.list_unfinished } else { self.sql.list })
            .bind(&filter.scope)
            .bind(&filter.workflow)
            .bind(filter.status.map(|status| status.as_str()))
            .bind(&filter.recovery_point)
            .bind(filter.after)
            .bind(filter.page());
        let mut conn = self.conn().await?;
        let list = list.fetch_all(&mut *conn).await;
        conn.answered(list).map_err(harmless("listing keys"))?.iter().map(rows::record).collect()
    }

    async fn journal(&self, ids: &[Uuid]) -> Result<Vec<PointRow>, StoreError> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query(self.sql.journal).bind(ids).fetch_all(&mut *conn).await;
        conn.answered(rows).map_err(harmless("reading the journal"))?.iter().map(rows::point).collect()
    }

    async fn failures(&self, ids: &[Uuid]) -> Result<Vec<FailedAttempt>, StoreError> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query(self.sql.failures).bind(ids).fetch_all(&mut *conn).await;
        conn.answered(rows).map_err(harmless("reading the journal"))?.iter().map(rows::failure).collect()
    }

    async fn census(&self) -> Result<Vec<Census>, StoreError> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query(self.sql.census).fetch_all(&mut *conn).await;
        conn.answered(rows).map_err(harmless("counting keys"))?.iter().map(rows::census).collect()
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let mut conn = self.conn().await?;
        let row = self.now(self.sql.backlog).fetch_one(&mut *conn).await;
        rows::backlog(&conn.answered(row).map_err(harmless("counting keys"))?)
    }
}

impl Postgres {
    /// What a claim goes on with.
    async fn taken(&self, mut conn: Conn, row: &PgRow) -> Result<Taken, StoreError> {
        let id: Uuid = row.get("id");
        let reached = sqlx::query(self.sql.reached).bind(id).fetch_optional(&mut *conn).await;
        let mut taken = rows::taken(row, reached.map_err(committing("claiming"))?.as_ref())?;
        if taken.step_attempts > 1 {
            let known = sqlx::query_scalar(self.sql.known_failures).bind(id).bind(taken.seq + 1);
            taken.failures = known.fetch_one(&mut *conn).await.map_err(committing("claiming"))?;
        }
        Ok(conn.answered(taken))
    }

    async fn walk(
        &self,
        tx: &mut Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        status: Status,
    ) -> Result<DateTime<Utc>, StoreError> {
        let moved = self.writes.walk(tx, lease, walk, status).await.map_err(harmless("advancing"))?;
        let Some(at) = moved else {
            tx.assert_open().await?;
            return Err(StoreError::LeaseLost);
        };
        self.stage(tx, lease.id, jobs).await?;
        Ok(at)
    }

    async fn stage(
        &self,
        conn: &mut PgConnection,
        key_id: Uuid,
        jobs: &[StagedJob],
    ) -> Result<(), StoreError> {
        for job in jobs {
            let staged =
                self.now(self.sql.stage).bind(job.message_id).bind(key_id).bind(&job.kind).bind(&job.payload);
            staged.execute(&mut *conn).await.map_err(harmless("staging a job"))?;
        }
        Ok(())
    }
}
