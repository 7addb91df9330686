//! A database to measure on: refused unless it is as durable as in production.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool, SqlitePool};
use tempfile::TempDir;
use workflow::StoreError;
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

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

    /// A fresh PostgreSQL database.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn postgres() -> Result<Self, Unfit> {
        let url = std::env::var("DATABASE_URL").map_err(|_| Unfit::NoServer)?;
        let options: sqlx::postgres::PgConnectOptions = url.parse()?;
        let mut conn = options.connect().await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let shown = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
            let value: String = shown.fetch_one(&mut conn).await?;
            if value != "on" {
                return Err(Unfit::NotDurable { setting, value });
            }
        }
        let name = format!("workflow_bench_{}", std::process::id());
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).execute(&mut conn).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut conn).await?;
        conn.close().await?;
        let url = options.database(&name).to_url_lossy();
        let empty =
            Postgres::connect(url.as_str(), workflow_postgres::Options::default().prefix("empty_")).await?;
        empty.migrate().await?;
        Ok(Self::Postgres { full: Postgres::open(url.as_str()).await?, empty })
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
            Self::Sqlite { full, .. } => {
                sqlx::raw_sql("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)").execute(full.pool()).await.map(drop)
            }
            Self::Postgres { full, .. } => {
                sqlx::query("VACUUM ANALYZE").execute(full.pool()).await?;
                sqlx::query("CHECKPOINT").execute(full.pool()).await.map(drop)
            }
        }
    }
}

async fn fill_sqlite(pool: &SqlitePool, from: i64, to: i64) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    for sql in [FILL_SQLITE_KEYS, FILL_SQLITE_POINTS] {
        sqlx::query(sql).bind(from).bind(to).execute(&mut *tx).await?;
    }
    tx.commit().await
}

async fn fill_postgres(pool: &PgPool, from: i64, to: i64) -> Result<(), sqlx::Error> {
    for sql in [FILL_POSTGRES_KEYS, FILL_POSTGRES_POINTS] {
        sqlx::query(sql).bind(from).bind(to).execute(pool).await?;
    }
    Ok(())
}

const FILL_SQLITE_KEYS: &str = "
    WITH RECURSIVE n (n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < $2)
    INSERT INTO workflow_idempotency_keys (id, scope, idempotency_key, workflow, version, digest, digest_version,
        effect_seed, generation, request_params, claim_id, recovery_point, status, fence, attempts, step_attempts,
        created_at, last_run_at, finished_at, expires_at, response_code, response_headers, response_body)
    SELECT randomblob(16), 'tenant-' || (n % 100), 'key-' || n, 'bench', 1, randomblob(32), 1, randomblob(32), 0,
        randomblob(500), randomblob(16), 'finished', 'finished', 1, 1, 0, n, n, n, n, 201, X'5B5D', randomblob(100)
    FROM n";
const FILL_SQLITE_POINTS: &str = "
    INSERT INTO workflow_recovery_points (key_id, seq, name, step, attempts, first_attempt_at, reached_at, fence)
    SELECT id, 1, 'finished', 'answer', 1, created_at, created_at, 1 FROM workflow_idempotency_keys
    WHERE created_at >= $1 AND created_at < $2";
const FILL_POSTGRES_KEYS: &str = "
    INSERT INTO workflow_idempotency_keys (id, scope, idempotency_key, workflow, version, digest, digest_version,
        effect_seed, generation, request_params, claim_id, recovery_point, status, fence, attempts, step_attempts,
        created_at, last_run_at, finished_at, expires_at, response_code, response_headers, response_body)
    SELECT gen_random_uuid(), 'tenant-' || (n % 100), 'key-' || n, 'bench', 1, sha256(n::text::bytea), 1,
        sha256(n::text::bytea), 0, convert_to(repeat(md5(n::text), 16), 'UTF8'), gen_random_uuid(), 'finished',
        'finished', 1, 1, 0, t, t, t, t, 201, '[]', convert_to(repeat(md5(n::text), 3), 'UTF8')
    FROM (SELECT n, to_timestamp(n) AS t FROM generate_series($1, $2 - 1) AS n) AS rows";
const FILL_POSTGRES_POINTS: &str = "
    INSERT INTO workflow_recovery_points (key_id, seq, name, step, attempts, first_attempt_at, reached_at, fence)
    SELECT id, 1, 'finished', 'answer', 1, created_at, created_at, 1 FROM workflow_idempotency_keys
    WHERE created_at >= to_timestamp($1) AND created_at < to_timestamp($2)";
