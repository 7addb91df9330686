//! A connection for batches, kept open between them.

use std::ops::AsyncFnOnce;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::{Executor, SqliteConnection, SqlitePool};
use workflow::StoreError;

use crate::error::{committing, harmless, is_answered};
use crate::journal_mode;
use crate::sql::Sql;

/// What a batch's connection is told, and no other: its temporary tables are in memory.
const SETTINGS: &str = "PRAGMA temp_store = MEMORY";

/// The connection, while nobody uses it. A batch that was given up has closed it, and one that failed but for a plain
/// answer of SQLite.
pub(crate) struct Lane {
    pool: SqlitePool,
    sql: &'static Sql,
    idle: Mutex<Option<SqliteConnection>>,
}

/// A connection that is ready for a batch.
pub(crate) struct Ready(SqliteConnection);

impl Lane {
    /// A lane with the connections of this pool: they are taken out of it.
    pub(crate) fn new(pool: SqlitePool, sql: &'static Sql) -> Self {
        Self { pool, sql, idle: Mutex::new(None) }
    }

    /// Nothing is written yet.
    pub(crate) async fn ready(&self) -> Result<Ready, StoreError> {
        let idle = self.idle().take();
        match idle {
            Some(conn) => Ok(Ready(conn)),
            None => self.connect().await.map(Ready),
        }
    }

    /// Runs statements of which the first commits.
    pub(crate) async fn run<T>(
        &self,
        ready: Ready,
        doing: &'static str,
        statements: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let Ready(mut conn) = ready;
        let answer = statements(&mut conn).await;
        if answer.as_ref().map_or_else(is_answered, |_| true) {
            *self.idle() = Some(conn);
        }
        answer.map_err(committing(doing))
    }

    async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        let mut conn = self.pool.acquire().await.map_err(harmless("connecting"))?.detach();
        journal_mode::check(&mut conn).await?;
        let Sql { answers, batch, insert, advance, finish, release, .. } = self.sql;
        for sql in [SETTINGS, answers, batch, insert, advance, finish, release] {
            conn.execute(sql).await.map_err(harmless("connecting"))?;
        }
        Ok(conn)
    }

    fn idle(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
