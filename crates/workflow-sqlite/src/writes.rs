//! The writes of the hot path, with what they bind: one by itself, or many by one statement.

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;
use workflow::seam::{Advance, Lease, NewKey, OwnedAdvance, Status, StoredResponse, key_hash};
use workflow::{Clock, StoreError};

use crate::error::harmless;
use crate::rows::micros;
use crate::sql::Sql;
use crate::tx::Tx;

type Statement = Query<'static, sqlx::Sqlite, SqliteArguments>;

/// The statements and the clock that they go by.
#[derive(Clone)]
pub(crate) struct Writes {
    pub(crate) sql: &'static Sql,
    pub(crate) clock: Clock,
}

/// One write. Each is answered with the time when it was made, `None` if its guards matched nothing.
pub(crate) enum Write {
    /// A first claim.
    Insert(NewKey),
    /// A step forward: a point that a foreign step has reached, or the response.
    Advance(OwnedAdvance),
    /// A lease that is given back, and why.
    Release(Lease, Option<String>),
}

/// In microseconds since 1970.
pub(crate) type At = Option<i64>;

impl Write {
    pub(crate) fn doing(&self) -> &'static str {
        match self {
            Self::Insert(_) => "claiming",
            Self::Advance(_) => "advancing",
            Self::Release(..) => "giving a lease back",
        }
    }

    /// The row that it writes.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::Insert(new) => new.id,
            Self::Advance(step) => step.lease.id,
            Self::Release(lease, _) => lease.id,
        }
    }
}

impl Writes {
    pub(crate) fn now(&self, sql: &'static str) -> Statement {
        sqlx::query(sql).bind(self.clock.offset_micros())
    }

    /// By itself.
    pub(crate) async fn one(&self, conn: &mut SqliteConnection, write: &Write) -> Result<At, sqlx::Error> {
        let insert = self.row(sqlx::query(self.sql.insert_one), 0, write);
        // To its end: what comes first, the row, is not committed yet.
        let answers = insert.fetch_all(conn).await?;
        Ok(answers.first().and_then(|row| row.get(0)))
    }

    /// All in one commit. No more than the largest batch.
    pub(crate) async fn batch(
        &self,
        conn: &mut SqliteConnection,
        writes: &[Write],
    ) -> Result<Vec<At>, sqlx::Error> {
        let (_, sql) = self.sql.insert_batch.of(writes.len());
        let mut insert = sqlx::query(sql);
        for (place, write) in (0..).zip(writes) {
            insert = self.row(insert, place, write);
        }
        insert.execute(&mut *conn).await?;
        // A second statement, or each row would come by itself.
        let count = i64::try_from(writes.len()).unwrap_or(i64::MAX);
        let answers = sqlx::query_scalar::<_, String>(self.sql.answered).bind(count).fetch_one(conn).await;
        let answers = answers.ok().and_then(|json| serde_json::from_str::<Vec<At>>(&json).ok());
        let answers = answers.filter(|answers| answers.len() == writes.len());
        answers.ok_or_else(|| sqlx::Error::Protocol(NO_ANSWERS.to_owned()))
    }

    fn row(&self, insert: Statement, place: i64, write: &Write) -> Statement {
        let (mut fence, mut ttl, mut new, mut advance, mut error) = (None, None, None, None, None);
        let kind = match write {
            Write::Insert(key) => {
                (ttl, new) = (Some(micros(key.lease)), Some(key));
                "insert"
            }
            Write::Advance(step) => {
                let step = (step.lease.fence, step.get());
                (fence, ttl, advance) = (Some(step.0), Some(micros(step.1.lease)), Some(step.1));
                if step.1.response().is_some() { "finish" } else { "advance" }
            }
            Write::Release(lease, why) => {
                (fence, error) = (Some(lease.fence), why.as_deref());
                "release"
            }
        };
        let insert = insert.bind(place).bind(self.clock.offset_micros()).bind(kind).bind(write.id());
        let insert = bind_advance(bind_new(insert.bind(fence).bind(ttl), new), advance.as_ref());
        insert.bind(error)
    }

    /// Inside the steps' transaction.
    pub(crate) async fn walk(
        &self,
        tx: &mut Tx,
        lease: Lease,
        walk: &[Advance<'_>],
        status: Status,
    ) -> Result<At, StoreError> {
        let ([first, others @ ..], Some(last)) = (walk, walk.last()) else { return Ok(None) };
        let response = last.response();
        let moved = self
            .now(self.sql.walk)
            .bind(lease.id)
            .bind(lease.fence)
            .bind(first.prev)
            .bind(last.name())
            .bind(micros(last.lease))
            .bind(response.map(|(response, _)| i32::from(response.code)))
            .bind(response.map(|(response, _)| &*response.headers))
            .bind(response.map(|(response, _)| &*response.body))
            .bind(response.map(|(_, retention)| micros(retention)))
            .bind(first.seq)
            .bind(first.name())
            .bind(first.data())
            .bind(first.step)
            .bind(first.attempts)
            .bind(first.first_attempt_at.map(|at| at.timestamp_micros()))
            .bind(response.map(|_| last.step))
            .bind(last.attempts)
            .bind(last.first_attempt_at.map(|at| at.timestamp_micros()))
            .bind(status.as_str());
        let Some(moved) = tx.walk(moved).await? else { return Ok(None) };
        let at = moved.get(0);
        let points = others.len().saturating_sub(usize::from(response.is_some()));
        self.points(tx, lease, &others[..points], at).await.map_err(harmless("advancing"))?;
        Ok(Some(at))
    }

    /// In a write transaction.
    pub(crate) async fn turn(
        &self,
        conn: &mut SqliteConnection,
        lease: Lease,
        walk: &[Advance<'_>],
        answer: Option<&StoredResponse>,
    ) -> Result<At, sqlx::Error> {
        let (Some(first), Some(last)) = (walk.first(), walk.last()) else { return Ok(None) };
        let turn = self
            .now(self.sql.turn)
            .bind(lease.id)
            .bind(lease.fence)
            .bind(first.prev)
            .bind(last.name())
            .bind(micros(last.lease))
            .bind(answer.map(|answer| i32::from(answer.code)))
            .bind(answer.map(|answer| &*answer.headers))
            .bind(answer.map(|answer| &*answer.body));
        let Some(turned) = turn.fetch_optional(&mut *conn).await? else { return Ok(None) };
        let at = turned.get(0);
        self.points(conn, lease, walk, at).await?;
        Ok(Some(at))
    }

    async fn points(
        &self,
        conn: &mut SqliteConnection,
        lease: Lease,
        mut walk: &[Advance<'_>],
        at: i64,
    ) -> Result<(), sqlx::Error> {
        while !walk.is_empty() {
            let (size, sql) = self.sql.points.of(walk.len());
            let (these, others) = walk.split_at(size.min(walk.len()));
            let mut points = sqlx::query(sql);
            for advance in these {
                points = points
                    .bind(lease.id)
                    .bind(advance.seq)
                    .bind(advance.name())
                    .bind(advance.data())
                    .bind(advance.step)
                    .bind(advance.attempts)
                    .bind(advance.first_attempt_at.map_or(at, |at| at.timestamp_micros()))
                    .bind(at)
                    .bind(lease.fence);
            }
            points.execute(&mut *conn).await?;
            walk = others;
        }
        Ok(())
    }
}

const NO_ANSWERS: &str = "the batch is committed, but its answers cannot be read";

fn bind_new(insert: Statement, new: Option<&NewKey>) -> Statement {
    insert
        .bind(new.map(|new| &*new.scope))
        .bind(new.map(|new| &*new.value))
        .bind(new.map(|new| &*new.workflow))
        .bind(new.map(|new| i32::try_from(new.version).unwrap_or(i32::MAX)))
        .bind(new.map(|new| &new.digest[..]))
        .bind(new.map(|new| new.digest_version))
        .bind(new.map(|new| &new.effect_seed[..]))
        .bind(new.map(|new| new.generation))
        .bind(new.and_then(|new| new.request_method.as_deref()))
        .bind(new.and_then(|new| new.request_path.as_deref()))
        .bind(new.map(|new| &*new.request_params))
        .bind(new.map(|new| new.claim_id))
        .bind(new.map(|new| key_hash(&new.value).to_vec()))
}

fn bind_advance(insert: Statement, advance: Option<&Advance<'_>>) -> Statement {
    let response = advance.and_then(|advance| advance.response());
    insert
        .bind(advance.map(|advance| advance.prev))
        .bind(advance.map(|advance| advance.name()))
        .bind(advance.map(|advance| advance.seq))
        .bind(advance.and_then(|advance| advance.data()))
        .bind(advance.map(|advance| advance.step))
        .bind(advance.map(|advance| advance.attempts))
        .bind(advance.and_then(|advance| advance.first_attempt_at).map(|at| at.timestamp_micros()))
        .bind(response.map(|(response, _)| i32::from(response.code)))
        .bind(response.map(|(response, _)| &*response.headers))
        .bind(response.map(|(response, _)| &*response.body))
        .bind(response.map(|(_, retention)| micros(retention)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use workflow::seam::{Status, StoredResponse, To};
    use workflow::{Key, Store};

    use super::*;
    use crate::Sqlite;
    use crate::batches::tests::new_key;

    const TTL: Duration = Duration::from_secs(60);

    /// More points than one statement takes.
    const POINTS: i32 = 300;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_walk_is_one_move_and_a_row_for_each_of_its_points() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            Sqlite::open(&format!("sqlite://{}", dir.path().join("test.db").display())).await.unwrap();
        let new = new_key("k");
        let claimed = store.insert(&new).await.unwrap().unwrap();
        let lease = Lease { id: new.id, fence: 1 };
        let response = StoredResponse { code: 201, headers: b"[]".to_vec(), body: b"done".to_vec() };
        let names: Vec<_> = (1..=POINTS).map(|n| format!("point {n}")).collect();
        let step = |prev, seq, to| Advance {
            prev,
            step: "step",
            seq,
            attempts: 1,
            first_attempt_at: (seq == 1).then_some(claimed),
            to,
            lease: TTL,
        };
        let mut walk = Vec::new();
        let mut prev = "started";
        for (seq, name) in (1..).zip(&names) {
            walk.push(step(prev, seq, To::Point { name, data: b"data" }));
            prev = name;
        }
        walk.push(step(prev, POINTS + 1, To::Finished { response: &response, retention: TTL }));

        let mut tx = store.begin().await.unwrap();
        let elsewhere = store.advance_in(&mut tx, lease, &walk[1..], &[]).await;
        assert!(matches!(elsewhere, Err(StoreError::LeaseLost)));
        store.rollback(tx).await;
        let mut tx = store.begin().await.unwrap();
        let at = store.advance_in(&mut tx, lease, &walk, &[]).await.unwrap();
        store.commit(tx).await.unwrap();

        let row = store.find(&Key::new("tenant", "k").unwrap()).await.unwrap().unwrap();
        assert_eq!((row.status, &*row.recovery_point, row.step_attempts), (Status::Finished, "finished", 0));
        assert_eq!((row.finished_at, row.first_attempt_at), (Some(at), None));
        assert!(row.lease_left.is_zero() && row.response.as_ref() == Some(&response));
        let journal = store.journal(&[new.id]).await.unwrap();
        assert_eq!(journal.len(), walk.len());
        for (point, advance) in journal.iter().zip(&walk) {
            assert_eq!((point.seq, &*point.name, point.reached_at), (advance.seq, advance.name(), at));
            assert_eq!(point.first_attempt_at, advance.first_attempt_at.unwrap_or(at));
        }
    }
}
