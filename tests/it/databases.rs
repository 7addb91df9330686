//! Fresh real databases for tests: an SQLite file, a PostgreSQL database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use tempfile::TempDir;
use workflow::Clock;
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

/// A database of its own for one test. Its files go with it; a PostgreSQL database goes with the server.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    _dir: Option<Arc<TempDir>>,
}

pub(crate) fn sqlite() -> Database {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", dir.path().join("test.db").display());
    Database { url, _dir: Some(Arc::new(dir)) }
}

/// Tests that need PostgreSQL fail without it: they are never skipped.
pub(crate) async fn postgres() -> Database {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("DATABASE_URL")
        .expect("this test needs PostgreSQL: run ./test.sh, which starts one, or set DATABASE_URL");
    let name = format!("workflow_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let options: PgConnectOptions = url.parse().expect("DATABASE_URL is a URL of PostgreSQL");
    let mut conn = options.connect().await.expect("the server of DATABASE_URL answers");
    let create = format!("CREATE DATABASE {name}");
    conn.execute(sqlx::AssertSqlSafe(create)).await.expect("a database of its own");
    conn.close().await.expect("closing");
    let url = options.database(&name).to_url_lossy().to_string();
    Database { url, _dir: None }
}

/// A migrated store in a database of its own, and its clock.
pub(crate) async fn sqlite_store() -> (Database, Sqlite, Clock) {
    let (database, clock) = (sqlite(), Clock::default());
    let options = workflow_sqlite::Options::default().clock(clock.clone());
    let store = Sqlite::connect(&database.url, options).await.expect("opens");
    store.migrate().await.expect("migrates");
    (database, store, clock)
}

/// A migrated store in a database of its own, and its clock.
pub(crate) async fn postgres_store() -> (Database, Postgres, Clock) {
    let (database, clock) = (postgres().await, Clock::default());
    let options = workflow_postgres::Options::default().clock(clock.clone()).pool_size(8);
    let store = Postgres::connect(&database.url, options).await.expect("connects");
    store.migrate().await.expect("migrates");
    (database, store, clock)
}
