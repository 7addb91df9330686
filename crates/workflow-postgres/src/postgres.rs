//! The store's handle: how it is opened, migrated and verified.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use workflow::StoreError;

use crate::batches::Committers;
use crate::error::harmless;
use crate::migrate::{self, Migration};
use crate::names::Names;
use crate::options::Options;
use crate::sql::Sql;
use crate::tx::Tx;
use crate::writes::Writes;

/// What the connections of a pool are told that the store opens itself. An orphan backend, whose client is gone, must
/// not keep a row locked for long.
const SETTINGS: [(&str, &str); 3] = [
    ("default_transaction_isolation", "read committed"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
];

/// How long a connection is waited for: well under a lease, so that a full pool is tried again in time.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections are made for the committers at a time. They have at most two for each kind of write.
const LANES: u32 = 3;

/// The store in PostgreSQL 13 or newer: for many processes on many hosts. Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    pub(crate) pool: PgPool,
    pub(crate) names: Arc<Names>,
    pub(crate) sql: &'static Sql,
    pub(crate) writes: Writes,
    pub(crate) committers: Arc<Committers>,
}

impl Postgres {
    /// Connects to the database of this URL (`postgres://user:password@host/database`) and brings its tables up to
    /// date.
    ///
    /// # Errors
    /// [`StoreError::Away`] if it cannot be reached, [`StoreError::Refused`] if it refuses.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::connect(url, Options::default()).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Connects to the database of this URL without touching its tables: [`migrate`](Self::migrate) or
    /// [`verify`](Self::verify) come next.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn connect(url: &str, options: Options) -> Result<Self, StoreError> {
        let connect = PgConnectOptions::from_str(url)
            .map_err(harmless("reading the database's URL"))?
            .application_name("workflow")
            .options(SETTINGS);
        // One connection by itself first: a pool that cannot connect says only that its time is up.
        connect
            .connect()
            .await
            .map_err(harmless("connecting"))?
            .close()
            .await
            .map_err(harmless("connecting"))?;
        // No ping before a connection is used: one that is dead says so at its first statement, which commits nothing
        // or is settled.
        let pool = PgPoolOptions::new()
            .max_connections(options.pool_size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false);
        let pool = pool.connect_lazy_with(connect);
        Self::from_pool(pool, options)
    }

    /// A store on the application's own pool. Its tables are not touched.
    ///
    /// If other code begins transactions on this pool, see [`guarded`](crate::guarded). `lock_timeout` and
    /// `idle_in_transaction_session_timeout` are the application's to set.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the names are not valid.
    pub fn from_pool(pool: PgPool, options: Options) -> Result<Self, StoreError> {
        let names = options.names()?;
        let sql = names.statements();
        let writes = Writes { sql, clock: options.clock };
        let committers = Committers::new(&pool, &apart(&pool, LANES), &writes, &options.on_commit);
        Ok(Self { pool, names: Arc::new(names), sql, writes, committers: Arc::new(committers) })
    }

    /// Brings the tables up to date. Many processes may do it at once.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a migration was applied with other contents.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate::migrate(&self.pool, &self.names).await
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
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn now(&self, sql: &'static str) -> Query<'static, sqlx::Postgres, PgArguments> {
        self.writes.now(sql)
    }

    pub(crate) async fn begin_write(&self) -> Result<Tx, StoreError> {
        Tx::begin(&self.pool).await
    }

    pub(crate) async fn conn(&self) -> Result<Conn, StoreError> {
        connection(&self.pool).await
    }
}

/// A connection for a statement that is a commit of its own. Failing to get one is never a doubt: nothing was sent.
pub(crate) async fn connection(pool: &PgPool) -> Result<Conn, StoreError> {
    let conn = pool.acquire().await.map_err(harmless("connecting"))?;
    Ok(Conn { conn, waiting: true })
}

/// A pool like this one, with so many connections that nobody else can exhaust. It connects when it is asked.
pub(crate) fn apart(pool: &PgPool, connections: u32) -> PgPool {
    let options = pool.options().clone().min_connections(0).max_connections(connections);
    // The application's own patience may be longer than a lease.
    let options = options.acquire_timeout(ACQUIRE_TIMEOUT);
    options.connect_lazy_with((*pool.connect_options()).clone())
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("names", &self.names).finish_non_exhaustive()
    }
}

/// A connection that is closed, unless its statements were answered. A caller that gave up left a wire that may be
/// dead:
/// the pool would take it back only after a ping, for whose answer it waits for ever.
pub(crate) struct Conn {
    conn: PoolConnection<sqlx::Postgres>,
    waiting: bool,
}

impl Conn {
    /// The last statement was answered, be it by an error.
    pub(crate) fn answered<T>(mut self, answer: T) -> T {
        self.waiting = false;
        answer
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.waiting {
            self.conn.close_on_drop();
        }
    }
}

impl Deref for Conn {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}
