//! Connections for one kind of write, kept open between them.

use std::ops::AsyncFnOnce;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::postgres::PgSslMode;
use sqlx::{PgConnection, PgPool};
use workflow::StoreError;
use workflow::seam::LARGEST_BYTES;

use crate::error::{committing, harmless, is_answered};

/// What a batch's connection is told, and no other. A statement that was planned while the tables were small would go
/// on
/// reading all of them for a batch, however large they become: it is told to use the indexes. A row that is locked does
/// not hold up its batch for longer than this; it is waited for alone, elsewhere.
const SETTINGS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan; SET lock_timeout = '250ms'";

/// What fits into one TLS record, of 16 KiB. sqlx 0.9.0 leaves Nagle's algorithm on, so that a second record waits until
/// the first is acknowledged, which the other side delays by up to 40 ms.
const ONE_RECORD: usize = 15 * 1024;

/// The connections, while nobody uses them: one for batches, one for who writes alone. A write that failed, or was
/// given
/// up, has closed its connection.
pub(crate) struct Lane {
    pool: PgPool,
    idle: Mutex<Vec<PgConnection>>,
}

impl Lane {
    /// A lane with the connections of this pool: they are taken out of it.
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, idle: Mutex::default() }
    }

    /// How many bytes one statement should have at the most.
    pub(crate) fn largest_bytes(&self) -> usize {
        let connect = self.pool.connect_options();
        let never_tls =
            connect.get_socket().is_some() || matches!(connect.get_ssl_mode(), PgSslMode::Disable);
        if never_tls { LARGEST_BYTES } else { ONE_RECORD }
    }

    /// Runs statements of which the last commits.
    pub(crate) async fn run<T>(
        &self,
        doing: &'static str,
        statements: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => self.connect().await.map_err(harmless(doing))?,
        };
        let answer = statements(&mut conn).await;
        if answer.as_ref().map_or_else(is_answered, |_| true) {
            self.idle().push(conn);
        }
        answer.map_err(committing(doing))
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut conn = self.pool.acquire().await?.detach();
        sqlx::raw_sql(SETTINGS).execute(&mut conn).await?;
        Ok(conn)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
