//! The transaction: nobody can leave it half begun, end it unnoticed, or get its connection half ended.

use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, SqlSafeStr};
use sqlx_core::transaction::TransactionManager;
use workflow::StoreError;

use crate::error::{committing, harmless};

type Manager = <sqlx::Postgres as sqlx::Database>::TransactionManager;

/// The setting is a mark that ends with its transaction, and that no later transaction has.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL workflow.open = 'yes'";
const IS_OPEN: &str = "SELECT coalesce(current_setting('workflow.open', true), '') = 'yes'";

/// A transaction, READ COMMITTED whatever the database's default is: the guards are compare-and-set on single rows.
/// Dropped without a commit, it is rolled back: its connection is closed.
pub struct Tx {
    conn: PoolConnection<sqlx::Postgres>,
    open: bool,
}

impl Tx {
    /// `BEGIN`, on a connection that is closed if the caller is dropped in the middle: sqlx 0.9.0 alone would leave it
    /// in the pool, with an open transaction.
    pub(crate) async fn begin(pool: &PgPool) -> Result<Self, StoreError> {
        let conn = pool.acquire().await.map_err(harmless("beginning"))?;
        let mut tx = Self { conn, open: true };
        let begin = Manager::begin(&mut tx.conn, Some(BEGIN.into_sql_str()));
        begin.await.map_err(harmless("beginning"))?;
        Ok(tx)
    }

    /// Fails if what was begun has ended since, by whatever means: what is written next would be a commit of its own.
    /// The guard of the advance is the same, so that this is asked only when nothing was advanced.
    pub(crate) async fn assert_open(&mut self) -> Result<(), StoreError> {
        match sqlx::query_scalar(IS_OPEN).fetch_one(&mut *self.conn).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.escaped("advancing")),
            Err(error) => Err(harmless("advancing")(error)),
        }
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
    point, which has not moved. A step must not send COMMIT or ROLLBACK, and must not drop a nested `begin()` before \
    it is done";

impl Drop for Tx {
    /// The pool would take back a connection that sqlx, or the database, still thinks is in a transaction.
    fn drop(&mut self) {
        if self.open {
            self.conn.close_on_drop();
        }
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
