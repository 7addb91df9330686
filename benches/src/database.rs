//! A database to measure on: refused unless it is as durable as in production.

use sqlx::{PgPool, SqlitePool};
use tempfile::TempDir;
use workflow::StoreError;
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::server::Server;

/// Why there is nothing to measure on.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// PostgreSQL is not named.
    #[error("DATABASE_URL names no PostgreSQL server; `pg_virtualenv -o fsync=on` starts one for a command")]
    NoServer,
    /// A durability switch is off.
    #[error(
        "{setting} is {value}: a figure without durability is worth nothing; start the server with it on"
    )]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The other PostgreSQL driver cannot read the URL.
    #[error("DATABASE_URL is no URL of the form postgres://user:password@host:port/database")]
    Url(#[from] tokio_postgres::Error),
    /// The temporary folder failed.
    #[error("the temporary folder failed")]
    Folder(#[from] std::io::Error),
}

/// Two stores side by side, in a database of their own: one to be filled, one that stays nearly empty. Measured in
/// turn, they meet the same noise.
pub enum Database {
    /// Two files in a temporary folder.
    Sqlite {
        /// To be filled.
        full: Sqlite,
        /// Nearly empty.
        empty: Sqlite,
        /// The folder goes with this.
        folder: TempDir,
    },
    /// Two sets of tables in one database on the server of `DATABASE_URL`.
    Postgres {
        /// To be filled.
        full: Postgres,
        /// Nearly empty.
        empty: Postgres,
        /// The server that has them.
        server: Box<Server>,
    },
}

impl Database {
    /// Fresh SQLite files. The store itself refuses one without WAL and `synchronous = FULL`.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn sqlite() -> Result<Self, Unfit> {
        let folder = tempfile::tempdir()?;
        let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
        let (full, empty) = (Sqlite::open(&url("full.db")).await?, Sqlite::open(&url("empty.db")).await?);
        Ok(Self::Sqlite { full, empty, folder })
    }

    /// A fresh PostgreSQL database, which [`close`](Self::close) drops.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn postgres() -> Result<Self, Unfit> {
        let mut server = Server::connect().await?;
        let place = server.create("").await?;
        let options = workflow_postgres::Options::default().prefix("empty_");
        let empty = Postgres::connect(&place.url, options).await?;
        empty.migrate().await?;
        Ok(Self::Postgres { full: Postgres::open(&place.url).await?, empty, server: Box::new(server) })
    }

    /// Leaves nothing behind.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn close(self) -> Result<(), Unfit> {
        match self {
            Self::Sqlite { folder, .. } => Ok(folder.close()?),
            Self::Postgres { mut server, .. } => server.drop_made().await,
        }
    }

    /// Adds so many finished keys, each with its last point, as if they had run long ago.
    ///
    /// # Errors
    /// The database's.
    pub async fn fill(&self, from: i64, to: i64) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite { full, .. } => fill_sqlite(full.pool(), from, to).await,
            Self::Postgres { full, .. } => fill_postgres(full.pool(), from, to).await,
        }
    }

    /// Writes out what the filling has left to do, which would slow down whoever commits next.
    ///
    /// # Errors
    /// The database's.
    pub async fn settle(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite { full, .. } => settle_sqlite(full.pool()).await,
            Self::Postgres { full, .. } => settle_postgres(full.pool()).await,
        }
    }
}

/// [`Database::settle`] for one pool.
///
/// # Errors
/// The database's.
pub async fn settle_sqlite(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await.map(drop)
}

/// [`Database::settle`] for one pool.
///
/// # Errors
/// The database's.
pub async fn settle_postgres(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("VACUUM ANALYZE").execute(pool).await?;
    sqlx::query("CHECKPOINT").execute(pool).await.map(drop)
}

/// [`Database::fill`] for one pool.
///
/// # Errors
/// The database's.
pub async fn fill_sqlite(pool: &SqlitePool, from: i64, to: i64) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    for sql in [FILL_SQLITE_KEYS, FILL_SQLITE_POINTS] {
        sqlx::query(sql).bind(from).bind(to).execute(&mut *tx).await?;
    }
    tx.commit().await
}

/// [`Database::fill`] for one pool.
///
/// # Errors
/// The database's.
pub async fn fill_postgres(pool: &PgPool, from: i64, to: i64) -> Result<(), sqlx::Error> {
    for sql in [FILL_POSTGRES_KEYS, FILL_POSTGRES_POINTS] {
        sqlx::query(sql).bind(from).bind(to).execute(pool).await?;
    }
    Ok(())
}

const FILL_SQLITE_KEYS: &str = "
    WITH RECURSIVE n (n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < $2)
    INSERT INTO workflow_idempotency_keys (id, scope, idempotency_key, workflow, version, digest, digest_version,
        effect_seed, generation, request_params, claim_id, recovery_point, status, fence, attempts, step_attempts,
        created_at, last_run_at, first_attempt_at, finished_at, expires_at, finished_by, response_code,
        response_headers, response_body)
    SELECT randomblob(16), 'tenant-' || (n % 100), 'key-' || n, 'bench', 1, randomblob(32), 1, randomblob(32), 0,
        randomblob(500), randomblob(16), 'finished', 'finished', 1, 1, 1, n, n, n, n, n,
        'answer', 201, X'5B5D', randomblob(100)
    FROM n";
const FILL_SQLITE_POINTS: &str = "
    INSERT INTO workflow_recovery_points
        (key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence)
    SELECT id, 1, 'paid', randomblob(100), 'pay', 1, created_at, created_at, 1 FROM workflow_idempotency_keys
    WHERE created_at >= $1 AND created_at < $2";
const FILL_POSTGRES_KEYS: &str = "
    INSERT INTO workflow_idempotency_keys (id, scope, idempotency_key, workflow, version, digest, digest_version,
        effect_seed, generation, request_params, claim_id, recovery_point, status, fence, attempts, step_attempts,
        created_at, last_run_at, first_attempt_at, finished_at, expires_at, finished_by, response_code,
        response_headers, response_body)
    SELECT gen_random_uuid(), 'tenant-' || (n % 100), 'key-' || n, 'bench', 1, sha256(n::text::bytea), 1,
        sha256(n::text::bytea), 0, convert_to(repeat(md5(n::text), 16), 'UTF8'), gen_random_uuid(), 'finished',
        'finished', 1, 1, 1, t, t, t, t, t, 'answer', 201, '[]', convert_to(repeat(md5(n::text), 3), 'UTF8')
    FROM (SELECT n, to_timestamp(n) AS t FROM generate_series($1, $2 - 1) AS n) AS rows";
const FILL_POSTGRES_POINTS: &str = "
    INSERT INTO workflow_recovery_points
        (key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence)
    SELECT id, 1, 'paid', convert_to(repeat(md5(id::text), 3), 'UTF8'), 'pay', 1, created_at, created_at, 1
    FROM workflow_idempotency_keys WHERE created_at >= to_timestamp($1) AND created_at < to_timestamp($2)";
