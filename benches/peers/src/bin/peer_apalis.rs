//! apalis-workflow, on PostgreSQL and on SQLite.
//!
//! Tuned: it is woken by NOTIFY (PostgreSQL) and looks every 10 ms (both); it takes up to 100 jobs at once and works
//! on 64; 20 connections on PostgreSQL; on SQLite as many as runs are in flight, at most 4.
//! A heartbeat every second instead of every 30 s: with one run in flight a wake-up is lost now and then, and only the
//! next heartbeat goes on.
//! It awaits no workflow: the last step says that it is there, before its result is stored, which flatters it a
//! little.
//! Set right: on SQLite its own `setup` sets `synchronous = OFF` on whichever connection it is given; here its
//! migrations run without it, on a pool with FULL.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::*;
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use apalis_workflow::{SteppedFlow, WorkflowSink};
use peers::waiting::{Waiting, ended};
use peers::{Database, Done, Error, Kind, Order, Peer, STEPS, pragmas, work};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::task::JoinHandle;

/// The chain, whose type depends on the backend that it runs on.
macro_rules! checkout {
    ($waiting:expr) => {{
        let waiting: Arc<Waiting> = $waiting;
        let [reserve, capture, place, notify, receipt] = STEPS;
        SteppedFlow::new("checkout")
            .and_then(move |order: Order| async move { Ok::<_, BoxDynError>(work::step(reserve, order.id)) })
            .and_then(move |done: Done| async move { Ok::<_, BoxDynError>(work::step(capture, done.order)) })
            .and_then(move |done: Done| async move { Ok::<_, BoxDynError>(work::step(place, done.order)) })
            .and_then(move |done: Done| async move { Ok::<_, BoxDynError>(work::step(notify, done.order)) })
            .and_then(move |done: Done| {
                let waiting = waiting.clone();
                async move {
                    let answer = work::receipt(&work::step(receipt, done.order));
                    waiting.reached(done.order);
                    Ok::<_, BoxDynError>(answer)
                }
            })
    }};
}

const QUEUE: &str = "checkout";
const BATCH: usize = 100;
const AT_ONCE: usize = 64;
const CONNECTIONS_POSTGRES: u32 = 20;
/// More of them wait for each other, and a single run is fastest on a single one.
const MOST_CONNECTIONS_SQLITE: u32 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A poll whose wake-up is lost, which happens when the queue is empty, waits for this: 30 s as it comes.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A worker that is behind is not dead: its jobs would be given to it a second time.
const MISSED: usize = 60;
const PATIENCE: Duration = Duration::from_secs(60);

enum Store {
    Postgres(PostgresStorage<Order>),
    Sqlite(SqliteStorage<Order>),
}

struct Apalis {
    store: Store,
    waiting: Arc<Waiting>,
    worker: JoinHandle<()>,
}

impl Peer for Apalis {
    fn name(_: Kind) -> &'static str {
        "apalis-workflow"
    }

    fn package(_: Kind) -> &'static str {
        "apalis-workflow"
    }

    async fn open(database: &Database, in_flight: usize) -> Result<Self, Error> {
        match database {
            Database::Postgres(url) => Self::on_postgres(url).await,
            Database::Sqlite(file) => Self::on_sqlite(file, in_flight).await,
        }
    }

    async fn run(&self, order: Order) -> Result<(), Error> {
        let reached = self.waiting.for_order(order.id);
        match &self.store {
            Store::Postgres(storage) => storage.clone().push_start(order).await.map_err(Error::peer)?,
            Store::Sqlite(storage) => storage.clone().push_start(order).await.map_err(Error::peer)?,
        }
        ended(reached).await
    }

    async fn pragmas(&self) -> Result<Vec<(String, i64)>, Error> {
        match &self.store {
            Store::Sqlite(storage) => pragmas::read(storage.pool()).await,
            Store::Postgres(_) => Ok(Vec::new()),
        }
    }

    async fn close(&self) -> Result<(), Error> {
        self.worker.abort();
        if let Store::Sqlite(storage) = &self.store {
            storage.pool().close().await;
        }
        Ok(())
    }
}

impl Apalis {
    async fn on_postgres(url: &str) -> Result<Self, Error> {
        let options = PgPoolOptions::new().max_connections(CONNECTIONS_POSTGRES).acquire_timeout(PATIENCE);
        let pool = options.connect(url).await?;
        PostgresStorage::setup(&pool).await.map_err(Error::peer)?;
        let config = apalis_postgres::Config::default()
            .queue(QUEUE)
            .batch_size(BATCH)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED);
        let store = PostgresStorage::new(&pool).with_config(config);
        let waiting = Arc::new(Waiting::default());
        let worker = WorkerBuilder::new(worker_name())
            .backend(store.clone().with_pubsub().poll_with_interval(LOOK_EVERY))
            .concurrency(AT_ONCE)
            .on_event(report)
            .build(checkout!(waiting.clone()));
        let worker =
            tokio::spawn(async move { worker.run().await.unwrap_or_else(|e| anstream::eprintln!("{e}")) });
        Ok(Self { store: Store::Postgres(store), waiting, worker })
    }

    async fn on_sqlite(file: &Path, in_flight: usize) -> Result<Self, Error> {
        let connections = u32::try_from(in_flight).unwrap_or(u32::MAX).min(MOST_CONNECTIONS_SQLITE);
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
        let pool = pool.connect_with(options).await?;
        SqliteStorage::migrations().run(&pool).await.map_err(Error::peer)?;
        let config = apalis_sqlite::Config::default()
            .queue(QUEUE)
            .batch_size(BATCH)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED);
        let store = SqliteStorage::new(&pool).with_config(config);
        let waiting = Arc::new(Waiting::default());
        let worker = WorkerBuilder::new(worker_name())
            .backend(store.clone().poll_with_interval(LOOK_EVERY))
            .concurrency(AT_ONCE)
            .on_event(report)
            .build(checkout!(waiting.clone()));
        let worker =
            tokio::spawn(async move { worker.run().await.unwrap_or_else(|e| anstream::eprintln!("{e}")) });
        Ok(Self { store: Store::Sqlite(store), waiting, worker })
    }
}

/// One that nobody else has: a name is taken for as long as its last heartbeat counts.
fn worker_name() -> String {
    format!("bench-{}", std::process::id())
}

fn report(_: &WorkerContext, event: &Event) {
    if let Event::Error(error) = event {
        anstream::eprintln!("the worker met {error}");
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    peers::main::<Apalis>().await
}
