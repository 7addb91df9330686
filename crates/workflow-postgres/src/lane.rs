//! Connections for one kind of write, kept open between them.

use std::ops::AsyncFnOnce;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgSslMode;
use sqlx::{PgConnection, PgPool};
use workflow::StoreError;
use workflow::seam::LARGEST_BYTES;

use crate::error::{committing, harmless, is_answered};

/// What a batch's connection is told, and no other. A statement that was planned while the tables were small would go on
/// reading all of them for a batch, however large they become: it is told to use the indexes. A row that is locked does
/// not hold up its batch for longer than this; it is waited for alone, elsewhere.
const SETTINGS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan; SET lock_timeout = '250ms'";

/// What fits into one TLS record, of 16 KiB. sqlx 0.9.0 leaves Nagle's algorithm on, so that a second record waits until
/// the first is acknowledged, which the other side delays by up to 40 ms.
const ONE_RECORD: usize = 15 * 1024;

/// Of a table with a handful of rows an index is cheaper read from end to end than asked for each row of a batch, and a
/// plan that does so is kept. So plans are made anew: first after this, then after twice as long, up to a second.
const REPLAN: &str = "DISCARD PLANS";
const FIRST_REPLAN: Duration = Duration::from_millis(5);
const LONGEST_REPLAN: Duration = Duration::from_secs(1);

/// The connections, while nobody uses them: one for batches, one for who writes alone. A write that failed, or was given
/// up, has closed its connection.
pub(crate) struct Lane {
    pool: PgPool,
    idle: Mutex<Vec<Kept>>,
}

struct Kept {
    conn: PgConnection,
    planned: Instant,
    replan: Duration,
}

impl Kept {
    fn new(conn: PgConnection) -> Self {
        Self { conn, planned: Instant::now(), replan: FIRST_REPLAN }
    }

    async fn replan(&mut self) -> Result<(), sqlx::Error> {
        if self.planned.elapsed() >= self.replan {
            sqlx::raw_sql(REPLAN).execute(&mut self.conn).await?;
            (self.planned, self.replan) = (Instant::now(), (self.replan * 2).min(LONGEST_REPLAN));
        }
        Ok(())
    }
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
        let mut kept = match idle {
            Some(kept) => kept,
            None => Kept::new(self.connect().await.map_err(harmless(doing))?),
        };
        // A connection that has died since says so here, where nothing is written yet.
        kept.replan().await.map_err(harmless(doing))?;
        let answer = statements(&mut kept.conn).await;
        if answer.as_ref().map_or_else(is_answered, |_| true) {
            self.idle().push(kept);
        }
        answer.map_err(committing(doing))
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut conn = self.pool.acquire().await?.detach();
        sqlx::raw_sql(SETTINGS).execute(&mut conn).await?;
        Ok(conn)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
