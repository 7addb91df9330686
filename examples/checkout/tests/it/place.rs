//! Where a test runs: a directory and a database of its own, and the program in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use checkout::{AnyStore, Calls, Database, Migration, Running};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// What a test that needs PostgreSQL says without one. It never passes by not running.
const NO_POSTGRES: &str = "tests that need PostgreSQL: run ./test.sh, or set DATABASE_URL to a server where databases may be created";

/// How long a test looks for what a process has to bring about.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory and a database.
pub(crate) struct Place {
    dir: TempDir,
    database_url: String,
    /// The server and the name, where the database has to be dropped.
    server: Option<(String, String)>,
}

impl Place {
    /// With an SQLite file.
    pub(crate) fn sqlite() -> Self {
        let dir = dir();
        let database_url = format!("sqlite://{}/shop.db", dir.path().display());
        Self { dir, database_url, server: None }
    }

    /// With a fresh PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        let server = std::env::var("DATABASE_URL").expect(NO_POSTGRES);
        let name = format!("checkout_{}", uuid::Uuid::new_v4().simple());
        admin(&server, format!("CREATE DATABASE {name}")).await;
        let mut url = reqwest::Url::parse(&server).expect("DATABASE_URL is no URL");
        url.set_path(&name);
        Self { dir: dir(), database_url: url.into(), server: Some((server, name)) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.path().join("ledger.ndjson")
    }

    /// The program, with nothing of this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_checkout"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("CHECKOUT_DATABASE_URL", &self.database_url)
            .env("CHECKOUT_LEDGER", self.ledger())
            .env("CHECKOUT_LEASE_MS", "1000")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        if self.is_postgres() {
            command.env("CHECKOUT_SECRET_KEY", "5e".repeat(32));
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program, which must succeed: the lines of its output.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        lines(&good(self.run(arguments)).stdout)
    }

    /// The settings of a shop in this place, for a test that calls the library.
    pub(crate) fn settings(&self) -> (Database, Calls, Running) {
        let database = Database { database_url: self.database_url.clone(), pool: 16 };
        let calls = Calls {
            gateway_url: None,
            ledger: Some(self.ledger()),
            sink_url: None,
            node_id: Some("test".into()),
            step_timeout_ms: 5000,
        };
        let running = Running {
            namespace: "test".into(),
            lease_ms: 30_000,
            heartbeat_ms: None,
            retention_ms: 1_000_000,
            stock: 10,
        };
        (database, calls, running)
    }

    pub(crate) async fn store(&self) -> AnyStore {
        AnyStore::open(&self.settings().0, &Migration::default()).await.unwrap()
    }

    /// Drops the database. A test that failed leaves it, for who wants to look.
    pub(crate) async fn close(self) {
        if let Some((server, name)) = &self.server {
            admin(server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

/// In memory where that is to be had and `TMPDIR` does not say otherwise: SIGKILL takes nothing from the page cache,
/// so the disk would prove nothing more here and takes minutes.
fn dir() -> TempDir {
    match std::env::var_os("TMPDIR") {
        Some(_) => tempfile::tempdir(),
        None => tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()),
    }
    .unwrap()
}

async fn admin(server: &str, sql: String) {
    let mut conn = PgConnection::connect(server).await.expect(NO_POSTGRES);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
}

/// Looks until there is something to see.
pub(crate) async fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Some(seen) => return seen,
            None => assert!(started.elapsed() < PATIENCE, "it has not come about"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The output, if the program succeeded.
pub(crate) fn good(output: Output) -> Output {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    output
}

/// Output as JSON, line by line.
pub(crate) fn lines(output: &[u8]) -> Vec<Value> {
    output
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Runs a test's body on the store of the place, whichever it is.
macro_rules! on_store {
    ($place:expr, $store:ident => $body:expr) => {
        match $place.store().await {
            checkout::AnyStore::Sqlite($store) => $body,
            checkout::AnyStore::Postgres($store) => $body,
        }
    };
}
pub(crate) use on_store;

/// A test of a place, on both databases.
macro_rules! on_both {
    ($($test:ident: $sqlite:ident, $postgres:ident;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $test(&crate::place::Place::sqlite()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let place = crate::place::Place::postgres().await;
            $test(&place).await;
            place.close().await;
        }
    )+};
}
pub(crate) use on_both;
