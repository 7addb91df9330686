//! The writes of the hot path, with what they bind: each by the plain statement, or many by one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Row};
use uuid::Uuid;
use workflow::Clock;
use workflow::seam::{Advance, Lease, NewKey, OwnedAdvance, Status, StoredResponse, key_hash};

use crate::rows::{self, interval};
use crate::sql::Sql;

/// The statements and the clock that they go by.
#[derive(Clone)]
pub(crate) struct Writes {
    pub(crate) sql: &'static Sql,
    pub(crate) clock: Clock,
}

/// A lease that is given back, and why.
pub(crate) struct Release {
    pub(crate) lease: Lease,
    pub(crate) error: Option<String>,
}

type At = Option<DateTime<Utc>>;
type Statement = Query<'static, sqlx::Postgres, PgArguments>;

impl Writes {
    pub(crate) fn now(&self, sql: &'static str) -> Statement {
        sqlx::query(sql).bind(self.clock.offset_micros())
    }

    pub(crate) async fn insert(&self, conn: &mut PgConnection, new: &NewKey) -> Result<At, sqlx::Error> {
        let insert = self
            .now(self.sql.insert)
            .bind(new.id)
            .bind(&new.scope)
            .bind(&new.value)
            .bind(&new.workflow)
            .bind(version(new))
            .bind(&new.digest[..])
            .bind(new.digest_version)
            .bind(&new.effect_seed[..])
            .bind(new.generation)
            .bind(&new.request_method)
            .bind(&new.request_path)
            .bind(&new.request_params)
            .bind(new.claim_id)
            .bind(interval(new.lease))
            .bind(&key_hash(&new.value)[..]);
        Ok(insert.fetch_optional(conn).await?.map(|row| row.get(0)))
    }

    pub(crate) async fn insert_batch(
        &self,
        conn: &mut PgConnection,
        new: &[NewKey],
    ) -> Result<Vec<At>, sqlx::Error> {
        let insert = self
            .now(self.sql.insert_batch)
            .bind(column(new, |new| new.id))
            .bind(column(new, |new| &*new.scope))
            .bind(column(new, |new| &*new.value))
            .bind(column(new, |new| &*new.workflow))
            .bind(column(new, version))
            .bind(column(new, |new| &new.digest[..]))
            .bind(column(new, |new| new.digest_version))
            .bind(column(new, |new| &new.effect_seed[..]))
            .bind(column(new, |new| new.generation))
            .bind(column(new, |new| new.request_method.as_deref()))
            .bind(column(new, |new| new.request_path.as_deref()))
            .bind(column(new, |new| &*new.request_params))
            .bind(column(new, |new| new.claim_id))
            .bind(column(new, |new| rows::micros(new.lease)))
            .bind(column(new, |new| key_hash(&new.value).to_vec()));
        let inserted = insert.fetch_all(conn).await?;
        let inserted: HashMap<Uuid, DateTime<Utc>> =
            inserted.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(column(new, |new| inserted.get(&new.id).copied()))
    }

    pub(crate) async fn advance(
        &self,
        conn: &mut PgConnection,
        lease: Lease,
        advance: Advance<'_>,
    ) -> Result<At, sqlx::Error> {
        let moved = match advance.response() {
            None => self.now(self.sql.advance),
            Some(_) => self.now(self.sql.finish),
        };
        let moved = moved.bind(lease.id).bind(lease.fence).bind(advance.prev);
        let moved = match advance.response() {
            None => moved
                .bind(advance.name())
                .bind(interval(advance.lease))
                .bind(advance.seq)
                .bind(advance.data()),
            Some((response, retention)) => moved
                .bind(i32::from(response.code))
                .bind(&response.headers)
                .bind(&response.body)
                .bind(interval(retention)),
        };
        let moved = moved.bind(advance.step).bind(advance.attempts).bind(advance.first_attempt_at);
        Ok(moved.fetch_optional(conn).await?.map(|row| row.get(0)))
    }

    pub(crate) async fn advance_batch(
        &self,
        conn: &mut PgConnection,
        steps: &[OwnedAdvance],
    ) -> Result<Vec<At>, sqlx::Error> {
        let advances = column(steps, OwnedAdvance::get);
        let response = column(&advances, Advance::response);
        let moved = self
            .now(self.sql.advance_batch)
            .bind(column(steps, |step| step.lease.id))
            .bind(column(steps, |step| step.lease.fence))
            .bind(column(&advances, |advance| advance.prev))
            .bind(column(&advances, Advance::name))
            .bind(column(&advances, |advance| rows::micros(advance.lease)))
            .bind(column(&advances, |advance| advance.seq))
            .bind(column(&advances, Advance::data))
            .bind(column(&advances, |advance| advance.step))
            .bind(column(&advances, |advance| advance.attempts))
            .bind(column(&advances, |advance| advance.first_attempt_at))
            .bind(column(&response, |response| response.map(|(response, _)| i32::from(response.code))))
            .bind(column(&response, |response| response.map(|(response, _)| &*response.headers)))
            .bind(column(&response, |response| response.map(|(response, _)| &*response.body)))
            .bind(column(&response, |response| response.map(|(_, retention)| rows::micros(retention))))
            .bind((0..).zip(steps).map(|(n, _)| n).collect::<Vec<i32>>());
        let mut at = vec![None; steps.len()];
        for row in moved.fetch_all(conn).await? {
            if let Some(at) = usize::try_from(row.get::<i32, _>(0)).ok().and_then(|n| at.get_mut(n)) {
                *at = Some(row.get(1));
            }
        }
        Ok(at)
    }

    /// Inside the steps' transaction.
    pub(crate) async fn walk(
        &self,
        conn: &mut PgConnection,
        lease: Lease,
        walk: &[Advance<'_>],
        status: Status,
    ) -> Result<At, sqlx::Error> {
        let (Some(first), Some(last)) = (walk.first(), walk.last()) else { return Ok(None) };
        let response = last.response();
        let answers = response.map(|_| last);
        let moved = self
            .now(self.sql.walk)
            .bind(lease.id)
            .bind(lease.fence)
            .bind(first.prev)
            .bind(last.name())
            .bind(interval(last.lease))
            .bind(response.map(|(response, _)| i32::from(response.code)))
            .bind(response.map(|(response, _)| &*response.headers))
            .bind(response.map(|(response, _)| &*response.body))
            .bind(response.map(|(_, retention)| interval(retention)))
            .bind(answers.map(|last| last.step))
            .bind(last.attempts)
            .bind(last.first_attempt_at);
        let moved = points(moved, &walk[..walk.len() - usize::from(answers.is_some())]).bind(status.as_str());
        Ok(moved.fetch_optional(conn).await?.map(|row| row.get(0)))
    }

    pub(crate) async fn turn(
        &self,
        conn: &mut PgConnection,
        lease: Lease,
        walk: &[Advance<'_>],
        answer: Option<&StoredResponse>,
    ) -> Result<At, sqlx::Error> {
        let (Some(first), Some(last)) = (walk.first(), walk.last()) else { return Ok(None) };
        let moved = self
            .now(self.sql.turn)
            .bind(lease.id)
            .bind(lease.fence)
            .bind(first.prev)
            .bind(last.name())
            .bind(interval(last.lease))
            .bind(answer.map(|answer| i32::from(answer.code)))
            .bind(answer.map(|answer| &*answer.headers))
            .bind(answer.map(|answer| &*answer.body));
        Ok(points(moved, walk).fetch_optional(conn).await?.map(|row| row.get(0)))
    }

    pub(crate) async fn release(
        &self,
        conn: &mut PgConnection,
        release: &Release,
    ) -> Result<(), sqlx::Error> {
        let update = sqlx::query(self.sql.release).bind(release.lease.id).bind(release.lease.fence);
        update.bind(&release.error).execute(conn).await.map(drop)
    }

    pub(crate) async fn release_batch(
        &self,
        conn: &mut PgConnection,
        releases: &[Release],
    ) -> Result<(), sqlx::Error> {
        let update = sqlx::query(self.sql.release_batch)
            .bind(column(releases, |release| release.lease.id))
            .bind(column(releases, |release| release.lease.fence))
            .bind(column(releases, |release| release.error.as_deref()));
        update.execute(conn).await.map(drop)
    }
}

/// The points of a walk, a column each.
fn points(moved: Statement, walk: &[Advance<'_>]) -> Statement {
    moved
        .bind(column(walk, |advance| advance.seq))
        .bind(column(walk, Advance::name))
        .bind(column(walk, Advance::data))
        .bind(column(walk, |advance| advance.step))
        .bind(column(walk, |advance| advance.attempts))
        .bind(column(walk, |advance| advance.first_attempt_at))
}

/// One column of many rows, as an array for `unnest`.
fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn version(new: &NewKey) -> i32 {
    i32::try_from(new.version).unwrap_or(i32::MAX)
}
