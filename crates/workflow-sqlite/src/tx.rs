//! The transaction: nobody can leave it half begun, end it unnoticed, or get its connection half ended.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Either, Executor, SqlSafeStr, SqliteConnection, SqlitePool};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use workflow::{BoxError, StoreError};

use crate::error::{committing, harmless, says_no};
use crate::sqlite::ACQUIRE_TIMEOUT;

type Manager = <sqlx::Sqlite as sqlx::Database>::TransactionManager;

/// The savepoint is a mark that ends with its transaction, and that no later transaction has. An advance releases it.
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT workflow";

/// A write transaction: SQLite has one writer, so within a process they queue here, in order, instead of in the
/// database's own busy loop. Dropped without a commit, it is rolled back: its connection is closed.
pub struct Tx {
    conn: PoolConnection<sqlx::Sqlite>,
    open: bool,
    _writer: OwnedSemaphorePermit,
}

impl Tx {
    /// `BEGIN IMMEDIATE`, on a connection that is closed if the caller is dropped in the middle: sqlx 0.9.0 alone would
    /// leave it in the pool, with an open transaction.
    pub(crate) async fn begin(pool: &SqlitePool, writer: &Arc<Semaphore>) -> Result<Self, StoreError> {
        let writer = tokio::time::timeout(ACQUIRE_TIMEOUT, writer.clone().acquire_owned()).await;
        let writer = writer.map_err(|e| away(e.into()))?.map_err(|e| away(e.into()))?;
        let conn = pool.acquire().await.map_err(harmless("beginning"))?;
        let mut tx = Self { conn, open: true, _writer: writer };
        let begin = Manager::begin(&mut tx.conn, Some(BEGIN.into_sql_str()));
        begin.await.map_err(harmless("beginning"))?;
        Ok(tx)
    }

    /// Runs the statement of a walk, and returns its row. It begins by the release of the mark, which fails if what was
    /// begun has ended since, by whatever means: what is written next would be a commit of its own.
    pub(crate) async fn walk(
        &mut self,
        walk: Query<'_, sqlx::Sqlite, SqliteArguments>,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let (mut released, mut moved) = (false, None);
        let mut answers = self.conn.fetch_many(walk);
        loop {
            match answers.try_next().await {
                Ok(Some(Either::Left(_))) => released = true,
                Ok(Some(Either::Right(row))) => moved = Some(row),
                Ok(None) => return Ok(moved),
                Err(error) if !released && says_no(&error) => break,
                Err(error) => return Err(harmless("advancing")(error)),
            }
        }
        drop(answers);
        Err(self.escaped("advancing"))
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if !self.is_at_the_top() {
            return Err(self.escaped("committing"));
        }
        Manager::commit(&mut self.conn).await.map_err(committing("committing"))?;
        self.open = false;
        Ok(())
    }

    pub(crate) async fn rollback(mut self) {
        if !self.is_at_the_top() {
            return;
        }
        match Manager::rollback(&mut self.conn).await {
            Ok(()) => self.open = false,
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "rollback failed"),
        }
    }

    /// Whether sqlx, too, sees the transaction that was begun, and none within it: else its COMMIT would commit
    /// nothing.
    fn is_at_the_top(&self) -> bool {
        Manager::get_transaction_depth(&self.conn) == 1
    }

    fn escaped(&mut self, doing: &'static str) -> StoreError {
        self.conn.close_on_drop();
        StoreError::Refused { doing, source: ESCAPED.into() }
    }
}

const ESCAPED: &str = "the step has ended the runner's transaction: what it wrote is not committed together with its \
    point, which has not moved. A step must not send COMMIT or ROLLBACK, nor `OR ROLLBACK`, and must not drop a \
    nested `begin()` before it is done";

impl Drop for Tx {
    /// The pool would take back a connection that sqlx, or the database, still thinks is in a transaction.
    fn drop(&mut self) {
        if self.open {
            self.conn.close_on_drop();
        }
    }
}

impl Deref for Tx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}

fn away(source: BoxError) -> StoreError {
    StoreError::Away { doing: "beginning", source }
}
