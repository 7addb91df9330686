//! The store's handle: how it is opened, migrated and verified, and its two kinds of write.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use tokio::sync::Semaphore;
use workflow::StoreError;
use workflow::seam::Committer;

use crate::batches::Desk;
use crate::error::harmless;
use crate::journal_mode;
use crate::migrate::{self, Migration};
use crate::names::Names;
use crate::options::Options;
use crate::sql::Sql;
use crate::tx::Tx;
use crate::writes::Writes;

/// How long SQLite itself waits for a writer of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often, and how far apart, a locked file is tried again when it is opened: five seconds in all.
const OPEN_TRIES: u32 = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection, and the one writer's place, is waited for: well under a lease, so that a full pool is tried
/// again in time.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The store in an SQLite file: for one process, or several on one host. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite {
    pub(crate) pool: SqlitePool,
    /// One writer at a time, within this process.
    pub(crate) writer: Arc<Semaphore>,
    pub(crate) names: Arc<Names>,
    pub(crate) sql: &'static Sql,
    pub(crate) writes: Writes,
    pub(crate) committer: Committer<Desk>,
}

impl Sqlite {
    /// Opens the file of this URL (`sqlite://relative.db`, `sqlite:///absolute/path.db`), creates it if it is not
    /// there, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the file cannot be a store, [`StoreError::Away`] if it cannot be opened.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::connect(url, Options::default()).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens the file of this URL without touching its tables: [`migrate`](Self::migrate) or
    /// [`verify`](Self::verify) come next.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn connect(url: &str, options: Options) -> Result<Self, StoreError> {
        let connect = SqliteConnectOptions::from_str(url)
            .map_err(harmless("reading the database's URL"))?
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // No ping before a connection is used: there is no wire that could be dead.
        let pool = SqlitePoolOptions::new()
            .max_connections(options.pool_size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false);
        Self::from_pool(pool.connect_lazy_with(connect), options).await
    }

    /// A store on the application's own pool, whose options must say WAL and `synchronous = FULL`. Its tables are
    /// not touched.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the pool's connections could lose what they have acknowledged, or the names are
    /// not valid.
    pub async fn from_pool(pool: SqlitePool, options: Options) -> Result<Self, StoreError> {
        let names = options.names()?;
        let mut conn = acquire_patiently(&pool).await?;
        journal_mode::check(&mut conn).await?;
        drop(conn);
        let writer = Arc::new(Semaphore::new(1));
        let sql = names.statements();
        let writes = Writes { sql, clock: options.clock };
        let committer = Committer::telling(Desk::new(&pool, &writer, &writes), options.on_commit);
        Ok(Self { pool, writer, names: Arc::new(names), sql, writes, committer })
    }

    /// Brings the tables up to date. Many processes may do it at once.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a migration was applied with other contents.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate::migrate(&self.pool, &self.writer, &self.names).await
    }

    /// Fails unless the tables are up to date: a start that only verifies, for who may not change tables.
    ///
    /// # Errors
    /// [`StoreError::Refused`] names the first migration that is missing or differs.
    pub async fn verify(&self) -> Result<(), StoreError> {
        migrate::verify(&self.pool, &self.names).await
    }

    /// The migrations as SQL, for who runs them by other means.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the names are not valid.
    pub fn migrations(options: &Options) -> Result<Vec<Migration>, StoreError> {
        Ok(migrate::all(&options.names()?))
    }

    /// The pool.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub(crate) fn now(&self, sql: &'static str) -> Query<'static, sqlx::Sqlite, SqliteArguments> {
        self.writes.now(sql)
    }

    pub(crate) async fn begin_write(&self) -> Result<Tx, StoreError> {
        Tx::begin(&self.pool, &self.writer).await
    }

    /// One write, as a commit of its own. Returns the row that it returns, and how many rows it touched.
    pub(crate) async fn write(
        &self,
        doing: &'static str,
        query: Query<'_, sqlx::Sqlite, SqliteArguments>,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let mut tx = self.begin_write().await?;
        match query.fetch_optional(&mut *tx).await {
            Ok(row) => tx.commit().await.map(|()| row),
            Err(error) => {
                tx.rollback().await;
                Err(harmless(doing)(error))
            }
        }
    }
}

/// A pool like this one, with one connection that nobody else can exhaust. It connects when it is asked.
pub(crate) fn apart(
    pool: &SqlitePool,
    connect: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
) -> SqlitePool {
    let options = pool.options().clone().min_connections(0).max_connections(1);
    // The application's own patience may be longer than a lease.
    let options = options.acquire_timeout(ACQUIRE_TIMEOUT);
    options.connect_lazy_with(connect((*pool.connect_options()).clone()))
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The first connection of a file: while several processes turn a new file to WAL at once, SQLite says "locked"
/// without waiting.
async fn acquire_patiently(pool: &SqlitePool) -> Result<PoolConnection<sqlx::Sqlite>, StoreError> {
    let mut tries = 0;
    loop {
        match pool.acquire().await.map_err(harmless("opening the database")) {
            Err(error) if error.is_transient() && tries < OPEN_TRIES => tries += 1,
            other => return other,
        }
        tokio::time::sleep(OPEN_PAUSE).await;
    }
}
