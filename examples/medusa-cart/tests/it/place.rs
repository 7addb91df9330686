//! Where a test runs: a directory and a database of its own, and the program in it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use medusa_cart::{AnyStore, ShopStore, Sql};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// What a test that needs PostgreSQL says without one. It never passes by not running.
const NO_POSTGRES: &str = "tests that need PostgreSQL: run ./test.sh, or set DATABASE_URL to a server where \
    databases may be created";

/// How long a test looks for what has to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory and a database.
pub(crate) struct Place {
    dir: TempDir,
    pub(crate) url: String,
    /// The server and the name, where the database has to be dropped.
    server: Option<(String, String)>,
}

impl Place {
    /// With an SQLite file.
    pub(crate) fn sqlite() -> Self {
        let dir = dir();
        let url = format!("sqlite://{}/shop.db", dir.path().display());
        Self { dir, url, server: None }
    }

    /// With a fresh PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        let server = std::env::var("DATABASE_URL").expect(NO_POSTGRES);
        let name = format!("medusa_cart_{}", uuid::Uuid::new_v4().simple());
        admin(&server, format!("CREATE DATABASE {name}")).await;
        let mut url = reqwest::Url::parse(&server).expect("DATABASE_URL is no URL");
        url.set_path(&name);
        Self { dir: dir(), url: url.into(), server: Some((server, name)) }
    }

    /// The program, with nothing of this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_medusa-cart"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("MEDUSA_CART_DATABASE_URL", &self.url)
            .env("MEDUSA_CART_LEASE_MS", "1500")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .stdout(Stdio::piped());
        command
    }

    /// The server as a process of its own.
    pub(crate) fn server(&self, arguments: &[&str]) -> Server {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut child = self.command(&arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(base.starts_with("http://127.0.0.1:"), "{line}");
        Server { child, base, line }
    }

    pub(crate) async fn store(&self) -> AnyStore {
        AnyStore::open(&self.url).await.unwrap()
    }

    /// Drops the database. A test that failed leaves it, for who wants to look.
    pub(crate) async fn close(self) {
        if let Some((server, name)) = &self.server {
            admin(server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

/// A server that is killed when the test is over.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) base: String,
    pub(crate) line: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In memory where that is to be had and `TMPDIR` does not say otherwise: SIGKILL takes nothing from the page cache.
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

/// The one number of a statement.
pub(crate) async fn number(store: &AnyStore, sql: &'static str) -> i64 {
    match store {
        AnyStore::Sqlite(store) => number_in(store, sql).await,
        AnyStore::Postgres(store) => number_in(store, sql).await,
    }
}

async fn number_in<S: ShopStore>(store: &S, sql: &'static str) -> i64 {
    store.reader().await.unwrap().row::<(i64,)>(sql, Vec::new()).await.unwrap().unwrap().0
}

/// Runs a statement.
pub(crate) async fn execute(store: &AnyStore, sql: &'static str, args: Vec<medusa_cart::Arg>) -> u64 {
    match store {
        AnyStore::Sqlite(store) => store.reader().await.unwrap().execute(sql, args).await.unwrap(),
        AnyStore::Postgres(store) => store.reader().await.unwrap().execute(sql, args).await.unwrap(),
    }
}

/// Looks until a statement gives this number.
pub(crate) async fn until(store: &AnyStore, sql: &'static str, wanted: i64) {
    let started = Instant::now();
    while number(store, sql).await != wanted {
        assert!(started.elapsed() < PATIENCE, "it has not come about: {sql}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

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
