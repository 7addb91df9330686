//! The seam, statement by statement: each write carries its guards in its own `WHERE`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;
use workflow::seam::{
    Advance, Backlog, Beat, Cancel, Census, FailedAttempt, Failure, Filter, Lease, NewKey, OwnedAdvance,
    PointRow, Position, ReachedPoint, Record, Status, StoredResponse, Take, Taken, Then, key_hash,
};
use workflow::{Key, StagedJob, Store, StoreError};

use crate::error::harmless;
use crate::rows::{self, micros};
use crate::sqlite::{Sqlite, apart};
use crate::tx::Tx;
use crate::writes::Write;

/// How long a heartbeat waits for the one writer of the file: a step that writes for longer is missed, not waited for.
const HEARTBEAT_WAIT: Duration = Duration::from_secs(1);

impl Store for Sqlite {
    type Conn = SqliteConnection;
    type Tx = Tx;

    async fn insert(&self, new: &NewKey) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.committer.write(Write::Insert(new.clone())).await?.map(rows::time).transpose()
    }

    async fn take(&self, take: Take<'_>) -> Result<Option<Taken>, StoreError> {
        let points = serde_json::to_string(take.points).map_err(|e| StoreError::Damaged(e.to_string()))?;
        let update = self
            .now(self.sql.take)
            .bind(take.scope)
            .bind(take.value)
            .bind(take.workflow)
            .bind(take.claim_id)
            .bind(take.digest)
            .bind(points)
            .bind(micros(take.lease));
        let mut tx = self.begin_write().await?;
        // A row that cannot be read is not leased either.
        match self.taken(&mut tx, update).await {
            Ok(taken) => tx.commit().await.map(|()| taken),
            Err(error) => {
                tx.rollback().await;
                Err(error)
            }
        }
    }

    async fn generation(&self, key: &Key) -> Result<i32, StoreError> {
        let hash = key_hash(key.value());
        let buried = sqlx::query_scalar(self.sql.buried).bind(key.scope()).bind(&hash[..]);
        let buried: Result<Option<i32>, _> = buried.fetch_optional(&self.pool).await;
        let buried = buried.map_err(harmless("looking for a tombstone"))?;
        Ok(buried.map_or(0, |generation| generation.saturating_add(1)))
    }

    async fn find(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let found = self.now(self.sql.find).bind(key.scope()).bind(key.value());
        let found = found.fetch_optional(&self.pool).await.map_err(harmless("looking up a key"))?;
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
        let mut tx = self.begin_write().await?;
        match self.writes.turn(&mut tx, lease, walk, answer).await.map_err(harmless("turning round")) {
            Ok(Some(at)) => {
                tx.commit().await?;
                rows::time(at)
            }
            turned => {
                tx.rollback().await;
                turned.and(Err(StoreError::LeaseLost))
            }
        }
    }

    async fn points(&self, id: Uuid) -> Result<Vec<ReachedPoint>, StoreError> {
        let rows = sqlx::query(self.sql.reached_all).bind(id).fetch_all(&self.pool).await;
        rows.map_err(harmless("reading the points"))?.iter().map(rows::reached).collect()
    }

    async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        tx.commit().await
    }

    async fn rollback(&self, tx: Tx) {
        tx.rollback().await;
    }

    async fn advance(&self, lease: Lease, advance: Advance<'_>) -> Result<DateTime<Utc>, StoreError> {
        let advance = Write::Advance(OwnedAdvance::new(lease, advance));
        rows::time(self.committer.write(advance).await?.ok_or(StoreError::LeaseLost)?)
    }

    async fn fail(&self, lease: Lease, failure: Failure<'_>, then: Then) -> Result<(), StoreError> {
        let mut tx = self.begin_write().await?;
        match self.failed(&mut tx, lease, failure, then).await.map_err(harmless("recording a failed attempt"))
        {
            Ok(true) => tx.commit().await,
            failed => {
                tx.rollback().await;
                failed.and(Err(StoreError::LeaseLost))
            }
        }
    }

    async fn cancel(&self, cancel: Cancel<'_>) -> Result<bool, StoreError> {
        let points = serde_json::to_string(cancel.points).map_err(|e| StoreError::Damaged(e.to_string()))?;
        let update = self
            .now(self.sql.cancel)
            .bind(cancel.scope)
            .bind(cancel.value)
            .bind(cancel.workflow)
            .bind(points)
            .bind(i32::from(cancel.answer.code))
            .bind(&cancel.answer.headers)
            .bind(&cancel.answer.body);
        Ok(self.write("cancelling a key", update).await?.is_some())
    }

    async fn unpark(&self, key: &Key) -> Result<bool, StoreError> {
        let update = sqlx::query(self.sql.unpark).bind(key.scope()).bind(key.value());
        Ok(self.write("letting a key go on", update).await?.is_some())
    }

    async fn release(&self, lease: Lease, error: Option<&str>) -> Result<(), StoreError> {
        let release = Write::Release(lease, error.map(str::to_owned));
        self.committer.write(release).await.map(drop)
    }

    async fn settle(&self, lease: Lease) -> Result<Option<Position>, StoreError> {
        let found = self.write("settling a doubt", sqlx::query(self.sql.settle).bind(lease.id)).await?;
        found.as_ref().map(rows::position).transpose()
    }

    fn heart(&self) -> Self {
        Self { pool: apart(&self.pool, |connect| connect), ..self.clone() }
    }

    async fn heartbeat(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Beat>, StoreError> {
        let Ok(tx) = tokio::time::timeout(HEARTBEAT_WAIT.min(ttl / 4), self.begin_write()).await else {
            return Ok(vec![Beat::Missed; leases.len()]);
        };
        let mut tx = tx?;
        let mut beats = Vec::with_capacity(leases.len());
        for lease in leases {
            let beat = self.now(self.sql.heartbeat).bind(micros(ttl)).bind(lease.id).bind(lease.fence);
            let beat = beat.fetch_optional(&mut *tx).await.map_err(harmless("extending leases"))?;
            beats.push(match beat.map(|row| row.get(0)) {
                Some(true) => Beat::Cancelled,
                Some(false) => Beat::Renewed,
                None => Beat::Lost,
            });
        }
        tx.commit().await.map(|()| beats)
    }

    async fn reap(&self, limit: u32) -> Result<u32, StoreError> {
        let mut tx = self.begin_write().await?;
        match self.reaped(&mut tx, limit).await.map_err(harmless("reaping")) {
            Ok(reaped) => tx.commit().await.map(|()| reaped),
            Err(error) => {
                tx.rollback().await;
                Err(error)
            }
        }
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
        let list = list.fetch_all(&self.pool).await.map_err(harmless("listing keys"))?;
        list.iter().map(rows::record).collect()
    }

    async fn journal(&self, ids: &[Uuid]) -> Result<Vec<PointRow>, StoreError> {
        self.of_each(self.sql.journal, ids, rows::point).await
    }

    async fn failures(&self, ids: &[Uuid]) -> Result<Vec<FailedAttempt>, StoreError> {
        self.of_each(self.sql.failures, ids, rows::failure).await
    }

    async fn census(&self) -> Result<Vec<Census>, StoreError> {
        let rows =
            sqlx::query(self.sql.census).fetch_all(&self.pool).await.map_err(harmless("counting keys"))?;
        rows.iter().map(rows::census).collect()
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let row =
            self.now(self.sql.backlog).fetch_one(&self.pool).await.map_err(harmless("counting keys"))?;
        rows::backlog(&row)
    }
}

impl Sqlite {
    /// The rows that belong to each of these keys, in the order of their ids.
    async fn of_each<T>(
        &self,
        sql: &'static str,
        ids: &[Uuid],
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut conn = self.pool.acquire().await.map_err(harmless("reading the journal"))?;
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        for id in ids {
            let rows = sqlx::query(sql).bind(id).fetch_all(&mut *conn).await;
            for row in rows.map_err(harmless("reading the journal"))? {
                found.push(read(&row)?);
            }
        }
        Ok(found)
    }

    /// The claim, and what it goes on with.
    async fn taken(
        &self,
        conn: &mut SqliteConnection,
        update: Query<'_, sqlx::Sqlite, SqliteArguments>,
    ) -> Result<Option<Taken>, StoreError> {
        let row = update.fetch_optional(&mut *conn).await.map_err(harmless("claiming"))?;
        let Some(row) = row else { return Ok(None) };
        let id: Uuid = row.get("id");
        let reached = sqlx::query(self.sql.reached).bind(id).fetch_optional(&mut *conn).await;
        let mut taken = rows::taken(&row, reached.map_err(harmless("claiming"))?.as_ref())?;
        if taken.step_attempts > 1 {
            let known = sqlx::query_scalar(self.sql.known_failures).bind(id).bind(taken.seq + 1);
            taken.failures = known.fetch_one(conn).await.map_err(harmless("claiming"))?;
        }
        Ok(Some(taken))
    }

    async fn failed(
        &self,
        conn: &mut SqliteConnection,
        lease: Lease,
        failure: Failure<'_>,
        then: Then,
    ) -> Result<bool, sqlx::Error> {
        let (what, pause) = rows::then(then);
        let update = self
            .now(self.sql.fail)
            .bind(lease.id)
            .bind(lease.fence)
            .bind(failure.attempt)
            .bind(failure.error)
            .bind(what)
            .bind(micros(pause))
            .bind(failure.cancelled);
        if update.execute(&mut *conn).await?.rows_affected() != 1 {
            return Ok(false);
        }
        let noted = self
            .now(self.sql.noted)
            .bind(lease.id)
            .bind(failure.seq)
            .bind(failure.attempt)
            .bind(lease.fence)
            .bind(failure.step)
            .bind(failure.error)
            .bind(failure.in_doubt);
        noted.execute(conn).await.map(|_| true)
    }

    async fn reaped(&self, conn: &mut SqliteConnection, limit: u32) -> Result<u32, sqlx::Error> {
        let reap = self.now(self.sql.reap).bind(i64::from(limit)).fetch_all(&mut *conn).await?;
        let ids = reap.iter().map(|row| row.try_get::<Uuid, _>(0));
        let ids: Vec<_> = ids.map(|id| id.map(|id| id.simple().to_string())).collect::<Result<_, _>>()?;
        if !ids.is_empty() {
            let all = serde_json::to_string(&ids).map_err(|error| sqlx::Error::Encode(error.into()))?;
            sqlx::query(self.sql.reap_all).bind(all).execute(conn).await?;
        }
        Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))
    }

    async fn walk(
        &self,
        tx: &mut Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        jobs: &[StagedJob],
        status: Status,
    ) -> Result<DateTime<Utc>, StoreError> {
        let at = self.writes.walk(tx, lease, walk, status).await?.ok_or(StoreError::LeaseLost)?;
        self.stage(tx, lease.id, jobs).await?;
        rows::time(at)
    }

    async fn stage(
        &self,
        conn: &mut SqliteConnection,
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
