//! Group commit: how a batch is written. How batches form, and what becomes of one that fails, is the core's.
//!
//! SQLite has one writer. All kinds of write share one committer, and a batch waits for the writer's place behind the
//! transactions of atomic steps, and they behind it.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use workflow::StoreError;
use workflow::seam::Batch;

use crate::lane::{Lane, Ready};
use crate::sqlite::apart;
use crate::writes::{At, Write, Writes};

/// How long a batch waits for the writer's place and its connection, and how long for a writer of another process:
/// together well under the time that the committer gives it, so that it says "nothing was written" and is not in doubt.
const WAIT: Duration = Duration::from_secs(2);
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a batch is written with.
pub(crate) struct Desk {
    writer: Arc<Semaphore>,
    lane: Lane,
    writes: Writes,
}

impl Desk {
    pub(crate) fn new(pool: &SqlitePool, writer: &Arc<Semaphore>, writes: &Writes) -> Self {
        let pool = apart(pool, |connect| connect.busy_timeout(BUSY_TIMEOUT));
        Self { writer: writer.clone(), lane: Lane::new(pool, writes.sql), writes: writes.clone() }
    }
}

impl Batch for Desk {
    type Write = Write;
    type Answer = At;

    fn order(a: &Write, b: &Write) -> Ordering {
        a.id().cmp(&b.id())
    }

    fn bytes(_: &Write) -> usize {
        0
    }

    async fn together(&self, writes: &[Write]) -> Result<Vec<Result<At, StoreError>>, StoreError> {
        match self.written(writes).await {
            Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
            // A file that is locked or full is so for each of them: one by one they would only wait longer.
            Err(StoreError::Away { doing, source }) => {
                let away = |_| Err(StoreError::Away { doing, source: source.to_string().into() });
                Ok(writes.iter().map(away).collect())
            }
            Err(error) => Err(error),
        }
    }

    async fn alone(&self, write: &Write) -> Result<At, StoreError> {
        let answers = self.written(std::slice::from_ref(write)).await?;
        Ok(answers.into_iter().next().flatten())
    }
}

impl Desk {
    async fn written(&self, writes: &[Write]) -> Result<Vec<At>, StoreError> {
        let doing = match writes {
            [write] => write.doing(),
            _ => "writing a batch",
        };
        let entered = tokio::time::timeout(WAIT, self.enter()).await;
        let (_writer, ready) =
            entered.map_err(|elapsed| StoreError::Away { doing, source: elapsed.into() })??;
        let answers = self.lane.run(ready, doing, async |conn| match writes {
            [write] => self.writes.one(conn, write).await.map(|at| vec![at]),
            many => self.writes.batch(conn, many).await,
        });
        answers.await
    }

    async fn enter(&self) -> Result<(OwnedSemaphorePermit, Ready), StoreError> {
        let writer = self.writer.clone().acquire_owned().await;
        let writer =
            writer.map_err(|closed| StoreError::Away { doing: "beginning", source: closed.into() })?;
        Ok((writer, self.lane.ready().await?))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::task::{Context, Waker};
    use std::time::Instant;

    use sqlx::{Connection, Executor, SqliteConnection};
    use tempfile::TempDir;
    use uuid::Uuid;
    use workflow::seam::{Advance, Lease, NewKey, OwnedAdvance, To};
    use workflow::{Clock, Store};

    use super::*;
    use crate::Sqlite;

    const TTL: Duration = Duration::from_secs(60);

    async fn fixture() -> (TempDir, Sqlite, Desk) {
        let dir = tempfile::tempdir().unwrap();
        let store =
            Sqlite::open(&format!("sqlite://{}", dir.path().join("test.db").display())).await.unwrap();
        let writes = Writes { sql: store.sql, clock: Clock::default() };
        let desk = Desk::new(store.pool(), &store.writer, &writes);
        (dir, store, desk)
    }

    pub(crate) fn new_key(value: &str) -> NewKey {
        NewKey {
            id: Uuid::now_v7(),
            claim_id: Uuid::new_v4(),
            scope: "tenant".into(),
            value: value.into(),
            workflow: "checkout".into(),
            version: 3,
            digest: [7; 32],
            digest_version: 1,
            effect_seed: [8; 32],
            generation: 0,
            request_method: None,
            request_path: None,
            request_params: b"{}".to_vec(),
            lease: TTL,
        }
    }

    fn inserts(keys: &[NewKey]) -> Vec<Write> {
        keys.iter().cloned().map(Write::Insert).collect()
    }

    fn advance(new: &NewKey, prev: &str) -> Write {
        let lease = Lease { id: new.id, fence: 1 };
        let to = To::Point { name: "charged", data: b"data" };
        Write::Advance(OwnedAdvance::new(
            lease,
            Advance { prev, step: "charge", seq: 1, attempts: 1, first_attempt_at: None, to, lease: TTL },
        ))
    }

    /// How many keys have moved, how many points there are, and how many points of keys that have moved.
    async fn counts(store: &Sqlite) -> (i64, i64, i64) {
        let counts =
            "SELECT (SELECT count(*) FROM workflow_idempotency_keys WHERE recovery_point = 'charged'),
            (SELECT count(*) FROM workflow_recovery_points), (SELECT count(*) FROM workflow_recovery_points
                JOIN workflow_idempotency_keys ON id = key_id AND recovery_point = name)";
        sqlx::query_as(counts).fetch_one(store.pool()).await.unwrap()
    }

    async fn keys(store: &Sqlite) -> i64 {
        let keys = sqlx::query_scalar("SELECT count(*) FROM workflow_idempotency_keys");
        keys.fetch_one(store.pool()).await.unwrap()
    }

    /// Whether each write of a batch was made.
    fn made(answers: Vec<Result<At, StoreError>>) -> Vec<bool> {
        answers.into_iter().map(|answer| answer.unwrap().is_some()).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_write_whose_guards_fail_fails_alone() {
        let (_dir, store, desk) = fixture().await;
        let new = ["a", "b", "c"].map(new_key);
        assert_eq!(made(desk.together(&inserts(&new)).await.unwrap()), [true; 3]);
        let steps = [advance(&new[0], "started"), advance(&new[1], "elsewhere"), advance(&new[2], "started")];
        assert_eq!(made(desk.together(&steps).await.unwrap()), [true, false, true]);
        assert_eq!(counts(&store).await, (2, 2, 2));
        // The answers of a larger batch before it are not taken for its own.
        assert_eq!(made(desk.together(&steps[..2]).await.unwrap()), [false, false]);
        assert_eq!(desk.alone(&steps[0]).await.unwrap(), None);
        assert_eq!(counts(&store).await, (2, 2, 2));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_one_key_twice_in_a_batch_one_is_made() {
        let (_dir, store, desk) = fixture().await;
        let new = [new_key("a"), new_key("a"), new_key("b")];
        assert_eq!(made(desk.together(&inserts(&new)).await.unwrap()), [true, false, true]);
        let twice = [advance(&new[0], "started"), advance(&new[0], "started")];
        assert_eq!(made(desk.together(&twice).await.unwrap()), [true, false]);
        assert_eq!(counts(&store).await, (1, 1, 1));
        let lease = Lease { id: new[2].id, fence: 1 };
        let release = || Write::Release(lease, None);
        assert_eq!(made(desk.together(&[release(), release()]).await.unwrap()), [true, false]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_batch_with_a_row_that_the_database_refuses_writes_nothing() {
        let (_dir, store, desk) = fixture().await;
        let mut new = ["a", "b", "c"].map(new_key);
        new[1].scope = "x".repeat(256);
        let refused = desk.together(&inserts(&new)).await;
        assert!(matches!(refused, Err(StoreError::Refused { .. })));
        assert_eq!(keys(&store).await, 0);
        // Neither its connection nor the writer's place is lost.
        assert!(desk.alone(&Write::Insert(new[0].clone())).await.unwrap().is_some());
        store.commit(store.begin().await.unwrap()).await.unwrap();
    }

    /// The committer's answer to that: each by itself.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn beside_a_row_that_the_database_refuses_the_others_are_written() {
        let (_dir, store, _) = fixture().await;
        let writing = store.begin().await.unwrap();
        let calls: Vec<_> = (0..20)
            .map(|n| {
                let (store, mut new) = (store.clone(), new_key(&format!("k{n}")));
                if n == 13 {
                    new.scope = "x".repeat(256);
                }
                tokio::spawn(async move { store.insert(&new).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        store.rollback(writing).await;
        for (n, call) in (0..).zip(calls) {
            match call.await.unwrap() {
                Ok(inserted) => assert!(inserted.is_some() && n != 13),
                Err(error) => {
                    assert!(matches!(error, StoreError::Refused { .. }) && n == 13, "{n}: {error:?}")
                }
            }
        }
        assert_eq!(keys(&store).await, 19);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_batch_that_meets_a_locked_file_is_away_in_time() {
        let (_dir, store, desk) = fixture().await;
        let mut other = SqliteConnection::connect_with(&store.pool().connect_options()).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        let new = ["a", "b"].map(new_key);
        let began = Instant::now();
        for answer in desk.together(&inserts(&new)).await.unwrap() {
            assert!(matches!(answer, Err(StoreError::Away { .. })), "{answer:?}");
        }
        assert!(began.elapsed() < WAIT + BUSY_TIMEOUT + Duration::from_millis(500), "{:?}", began.elapsed());
        other.execute("ROLLBACK").await.unwrap();
        assert_eq!(made(desk.together(&inserts(&new)).await.unwrap()), [true; 2]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_batch_waits_for_a_step_that_writes_and_not_for_ever() {
        let (_dir, store, desk) = fixture().await;
        let writing = store.begin().await.unwrap();
        let new = ["a", "b"].map(new_key);
        for answer in desk.together(&inserts(&new)).await.unwrap() {
            assert!(matches!(answer, Err(StoreError::Away { .. })), "{answer:?}");
        }
        store.rollback(writing).await;
        assert_eq!(made(desk.together(&inserts(&new)).await.unwrap()), [true; 2]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_batch_that_finds_the_disk_full_writes_nothing() {
        let (_dir, store, desk) = fixture().await;
        let ready = desk.lane.ready().await.unwrap();
        let full =
            desk.lane.run(ready, "testing", async |conn| conn.execute("PRAGMA max_page_count = 1").await);
        full.await.unwrap();
        let mut new = ["a", "b"].map(new_key);
        new[1].request_params = vec![0; 1_000_000];
        for answer in desk.together(&inserts(&new)).await.unwrap() {
            assert!(matches!(answer, Err(StoreError::Away { .. })), "{answer:?}");
        }
        assert_eq!(keys(&store).await, 0);
        store.commit(store.begin().await.unwrap()).await.unwrap();
    }

    /// Given up after so many polls, its connection is closed: all of it is written, or nothing.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_batch_that_is_given_up_is_never_half_written() {
        let (_dir, store, desk) = fixture().await;
        let (mut cut_short, mut expected) = (0, 0);
        for polls in 0..30 {
            let new: Vec<_> = (0..100).map(|n| new_key(&format!("{polls} {n}"))).collect();
            assert!(!made(desk.together(&inserts(&new)).await.unwrap()).contains(&false));
            let steps: Vec<_> = new.iter().map(|new| advance(new, "started")).collect();
            let mut batch = Box::pin(desk.together(&steps));
            let mut polled = 0;
            while polled < polls && batch.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
            {
                polled += 1;
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            drop(batch);
            cut_short += i32::from(polled == polls);
            // Whoever writes next waits for it.
            store.commit(store.begin().await.unwrap()).await.unwrap();
            let (moved, points, both) = counts(&store).await;
            assert!(moved == points && points == both && (moved == expected || moved == expected + 100));
            expected = moved;
        }
        assert!(cut_short > 0, "none was given up on its way");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_its_last_handle_a_store_closes_its_file() {
        let (dir, store, _) = fixture().await;
        store.insert(&new_key("a")).await.unwrap().unwrap();
        let pool = store.pool().clone();
        drop(store);
        pool.close().await;
        // Who closes last writes the log back, and deletes it.
        let wal = dir.path().join("test.db-wal");
        for _ in 0..500 {
            if !wal.exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("somebody has the file open still");
    }
}
