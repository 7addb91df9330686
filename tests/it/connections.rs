//! Connections: none is held while a foreign step runs, the heartbeat has its own, and a run outlives all of them.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Executor, PgConnection, PgPool, SqlitePool};
use tokio::sync::Barrier;
use workflow::{Atomic, Foreign, Key, RecoveryPoint, Response, Runner, Step, Store, Workflow};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::databases;

#[derive(Clone, Serialize, Deserialize)]
struct Ask;

#[derive(Serialize, Deserialize)]
struct Called;

impl RecoveryPoint for Ask {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Called {
    const NAME: &'static str = "called";
}

fn key(n: usize) -> Key {
    Key::new("tenant", format!("k{n}")).unwrap()
}

/// Runs 20 keys at once whose foreign step itself needs the pool's only connection.
async fn with_one_connection<S: Store>(
    store: S,
    app: OnePool,
    define: fn() -> Workflow<S::Conn, OnePool, Ask>,
) {
    let runner = Runner::builder(store, app).with(define).build().unwrap();
    let runs = (0..20).map(|n| tokio::spawn(runner.run(define, key(n), Ask)));
    for run in futures_util::future::join_all(runs).await {
        assert_eq!(run.unwrap().unwrap().status(), 200);
    }
}

enum OnePool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

async fn use_the_pool(cx: Foreign<'_, OnePool, Ask>, _: Ask) -> Step<Response> {
    let two: i64 = match cx.app {
        OnePool::Sqlite(pool) => sqlx::query_scalar("SELECT 1 + 1").fetch_one(pool).await?,
        OnePool::Postgres(pool) => sqlx::query_scalar("SELECT 1::int8 + 1").fetch_one(pool).await?,
    };
    Ok(Response::new(200, json!(two)))
}

fn calling<C: Send + 'static>() -> Workflow<C, OnePool, Ask> {
    Workflow::new("calling").foreign("call", use_the_pool).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_step_in_sqlite_holds_no_connection() {
    let (_database, store, _) = databases::sqlite_store().await;
    let pool = store.pool().options().clone().max_connections(1).acquire_timeout(Duration::from_secs(10));
    let pool: SqlitePool =
        SqlitePoolOptions::connect_with(pool, (*store.pool().connect_options()).clone()).await.unwrap();
    let one = Sqlite::from_pool(pool.clone(), workflow_sqlite::Options::default()).await.unwrap();
    with_one_connection(one, OnePool::Sqlite(pool), calling).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_step_in_postgres_holds_no_connection() {
    let (database, _, _) = databases::postgres_store().await;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
    let pool = pool.connect(&database.url).await.unwrap();
    let one = Postgres::from_pool(pool.clone(), workflow_postgres::Options::default()).unwrap();
    with_one_connection(one, OnePool::Postgres(pool), calling).await;
}

/// A step that blocks the only worker thread of its runtime until somebody outside has seen two heartbeats.
struct Blocked(Mutex<Option<mpsc::Receiver<()>>>);

async fn block(cx: Foreign<'_, Blocked, Ask>, _: Ask) -> Step<Response> {
    if let Some(seen) = cx.app.0.lock().unwrap().take() {
        seen.recv()?;
    }
    Ok(Response::empty(204))
}

fn blocking<C: Send + 'static>() -> Workflow<C, Blocked, Ask> {
    Workflow::new("blocking").foreign("block", block).build()
}

/// The lease of a run that blocks its runtime is extended all the same: the watcher sees it grow, twice.
async fn outlasts_a_blocked_runtime<S: Store>(store: S, watcher: S) {
    let (seen, seeing) = mpsc::channel();
    let watching = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut last, mut grown) = (None, 0);
            while grown < 2 {
                let left = watcher.find(&key(0)).await.unwrap().map(|row| row.lease_left);
                grown += u32::from(last.is_some() && left > last);
                last = left;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        seen.send(()).unwrap();
    });
    let runner = Runner::builder(store, Blocked(Mutex::new(Some(seeing)))).with(blocking);
    let runner = runner.lease(Duration::from_secs(60)).heartbeat(Duration::from_millis(100)).build().unwrap();
    assert_eq!(runner.run(blocking, key(0), Ask).await.unwrap().status(), 204);
    watching.join().unwrap();
}

#[tokio::test]
async fn the_heartbeat_of_sqlite_outlasts_a_blocked_runtime() {
    let (database, store, _) = databases::sqlite_store().await;
    let watcher = Sqlite::connect(&database.url, workflow_sqlite::Options::default());
    outlasts_a_blocked_runtime(store, watcher.await.unwrap()).await;
}

#[tokio::test]
async fn the_heartbeat_of_postgres_outlasts_a_blocked_runtime() {
    let (_database, store, _) = databases::postgres_store().await;
    // Its connections are made where it is used: on the watcher's own runtime.
    let options = store.pool().options().clone().min_connections(0);
    let pool = options.connect_lazy_with((*store.pool().connect_options()).clone());
    let watcher = Postgres::from_pool(pool, workflow_postgres::Options::default()).unwrap();
    outlasts_a_blocked_runtime(store, watcher).await;
}

/// Where the steps meet the one who cuts all connections.
struct Meeting {
    arrived: Barrier,
    cut: Barrier,
}

async fn wait_for_the_cut(cx: Foreign<'_, Meeting, Ask>, _: Ask) -> Step<Called> {
    if cx.attempt() == 1 {
        cx.app.arrived.wait().await;
        cx.app.cut.wait().await;
    }
    Ok(Called)
}

async fn write(cx: Atomic<'_, PgConnection, Meeting, Ask>, _: Called) -> Step<Response> {
    cx.conn.execute("INSERT INTO written VALUES (1)").await?;
    Ok(Response::empty(204))
}

fn cut_off() -> Workflow<PgConnection, Meeting, Ask> {
    Workflow::new("cut_off").foreign("wait", wait_for_the_cut).atomic("write", write).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_when_the_server_has_cut_every_connection() {
    let (database, store, _) = databases::postgres_store().await;
    store.pool().execute("CREATE TABLE written (n int)").await.unwrap();
    let meeting = Arc::new(Meeting { arrived: Barrier::new(2), cut: Barrier::new(2) });
    let runner = Runner::builder(store.clone(), meeting.clone()).with(cut_off).build().unwrap();
    let run = tokio::spawn(runner.run(cut_off, key(0), Ask));

    meeting.arrived.wait().await;
    let admin = PgPoolOptions::new().max_connections(1).connect(&database.url).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let cut: i64 = sqlx::query_scalar(cut).fetch_one(&admin).await.unwrap();
    assert!(cut > 0, "there was a connection to cut");
    meeting.cut.wait().await;

    let answered = run.await.unwrap().unwrap();
    assert_eq!((answered.status(), answered.ran()), (204, &["wait", "write"][..]));
    let written: i64 = sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(&admin).await.unwrap();
    assert_eq!(written, 1);
}
