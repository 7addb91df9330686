//! Migrations: numbered, forward only, under a lock of their own, with their own bookkeeping table.

use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, Row};
use workflow::StoreError;

use crate::error::harmless;
use crate::names::Names;
use crate::tx::Tx;

/// One migration, as it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// Its number, from 1.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Its statements, with the tables' names filled in, and the line that records it: who runs it by other means, in
    /// one transaction, has done what [`migrate`](crate::Postgres::migrate) does.
    pub sql: String,
    checksum: Vec<u8>,
}

const FILES: [(i64, &str, &str); 3] = [
    (1, "idempotency_keys", include_str!("../migrations/0001_idempotency_keys.sql")),
    (2, "storage", include_str!("../migrations/0002_storage.sql")),
    (3, "reaper", include_str!("../migrations/0003_reaper.sql")),
];

/// Held to the end of the transaction. A session's lock would outlive an error, and does not pass a pooler.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('{prefix}migrations', 0))";
const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS {prefix}migrations (
        version bigint PRIMARY KEY, name text NOT NULL, checksum bytea NOT NULL, applied_at timestamptz NOT NULL
    );
";
const EXISTS: &str = "SELECT to_regclass('{prefix}migrations') IS NOT NULL";
const APPLIED: &str = "SELECT version, checksum FROM {prefix}migrations ORDER BY version";
const RECORD: &str = "
    INSERT INTO {prefix}migrations (version, name, checksum, applied_at)
    VALUES ({version}, '{name}', '\\x{checksum}', clock_timestamp());
";

/// All migrations, with these names.
pub(crate) fn all(names: &Names) -> Vec<Migration> {
    let migration = |&(version, name, text): &(i64, &'static str, &str)| {
        let checksum = Sha256::digest(text.as_bytes()).to_vec();
        let record = RECORD
            .replace("{version}", &version.to_string())
            .replace("{name}", name)
            .replace("{checksum}", &hex(&checksum));
        let sql = names.render_migration(&[CREATE, text, &record].concat());
        Migration { version, name, sql, checksum }
    };
    FILES.iter().map(migration).collect()
}

/// Brings the tables up to date: everything, the bookkeeping included, in one transaction under a lock.
pub(crate) async fn migrate(pool: &PgPool, names: &Names) -> Result<(), StoreError> {
    let mut tx = Tx::begin(pool).await?;
    run(&mut tx, &names.render(LOCK)).await?;
    run(&mut tx, &names.render_migration(CREATE)).await?;
    let applied = applied(&mut tx, names).await?;
    for migration in missing(all(names), &applied)? {
        run(&mut tx, &migration.sql).await?;
    }
    tx.commit().await
}

/// Fails unless every migration of this build is in place. It writes nothing.
pub(crate) async fn verify(pool: &PgPool, names: &Names) -> Result<(), StoreError> {
    let mut conn = pool.acquire().await.map_err(harmless("verifying the tables"))?;
    let exists = sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(names.render(EXISTS)));
    let exists = exists.fetch_one(&mut *conn).await.map_err(harmless("verifying the tables"))?;
    let applied = if exists { applied(&mut conn, names).await? } else { Vec::new() };
    match missing(all(names), &applied)?.first() {
        None => Ok(()),
        Some(first) => refused(format!(
            "migration {} ({}) is missing: run the migrations before this build",
            first.version, first.name
        )),
    }
}

async fn run(conn: &mut PgConnection, sql: &str) -> Result<(), StoreError> {
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
    sql.execute(conn).await.map(drop).map_err(harmless("migrating"))
}

async fn applied(conn: &mut PgConnection, names: &Names) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(names.render(APPLIED)));
    let rows = rows.fetch_all(conn).await.map_err(harmless("reading the migrations"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What has not been applied yet. A database that is ahead of this build is fine: migrations only add.
fn missing(all: Vec<Migration>, applied: &[(i64, Vec<u8>)]) -> Result<Vec<Migration>, StoreError> {
    let mut missing = Vec::new();
    for migration in all {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => missing.push(migration),
            Some((_, sum)) if *sum == migration.checksum => {}
            Some(_) => refused(format!(
                "migration {} ({}) was applied with other contents",
                migration.version, migration.name
            ))?,
        }
    }
    Ok(missing)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refused(why: String) -> Result<(), StoreError> {
    Err(StoreError::Refused { doing: "checking the migrations", source: why.into() })
}
