//! Underway, on PostgreSQL.
//!
//! Tuned: it is woken by NOTIFY, and looks every 10 ms instead of every minute; 16 tasks at once. A task at work holds
//! two connections, so the pool has 48.
//! It awaits no job: the last step says that it is there, before its transaction commits, which flatters it a little.
//! Two `Job`s: 0.2.0 begins a new job at whatever step its worker was at last, if both share one.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use peers::waiting::{Waiting, ended};
use peers::{Database, Done, Error, Kind, Order, Peer, STEPS, work};
use serde::{Deserialize, Serialize};
use sqlx_old::PgPool;
use sqlx_old::postgres::PgPoolOptions;
use tokio::task::JoinHandle;
use underway::{Job, To};

/// What a step hands to the next one: nothing else is kept.
#[derive(Serialize, Deserialize)]
struct Reserved {
    order: u64,
    stock: Done,
}

#[derive(Serialize, Deserialize)]
struct Captured {
    order: u64,
    payment: Done,
}

#[derive(Serialize, Deserialize)]
struct Placed {
    order: u64,
    placed: Done,
}

#[derive(Serialize, Deserialize)]
struct Notified {
    order: u64,
    warehouse: Done,
}

type Checkout = Job<Order, Arc<Waiting>>;

async fn checkout(pool: &PgPool, waiting: &Arc<Waiting>) -> Result<Checkout, Error> {
    let [reserve, capture, place, notify, receipt] = STEPS;
    let job = Job::builder()
        .state(waiting.clone())
        .step(move |_, Order { id, .. }: Order| async move {
            To::next(Reserved { order: id, stock: work::step(reserve, id) })
        })
        .step(move |_, Reserved { order, .. }| async move {
            To::next(Captured { order, payment: work::step(capture, order) })
        })
        .step(move |_, Captured { order, .. }| async move {
            To::next(Placed { order, placed: work::step(place, order) })
        })
        .step(move |_, Placed { order, .. }| async move {
            To::next(Notified { order, warehouse: work::step(notify, order) })
        })
        .step(move |cx, Notified { order, .. }| async move {
            let _kept_nowhere = work::receipt(&work::step(receipt, order));
            cx.state.reached(order);
            To::done()
        });
    job.name("checkout").pool(pool.clone()).build().await.map_err(Error::peer)
}

/// On a thread of its own: the future of its migrations is not `Send`.
async fn migrate(pool: PgPool) -> Result<(), Error> {
    let runtime = tokio::runtime::Handle::current();
    let migrated =
        tokio::task::spawn_blocking(move || runtime.block_on(underway::run_migrations(&pool))).await?;
    migrated.map_err(Error::peer)
}

const CONNECTIONS: u32 = 48;
const TASKS: usize = 16;
const LOOK_EVERY_MS: i64 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

struct Underway {
    job: Checkout,
    waiting: Arc<Waiting>,
    worker: JoinHandle<()>,
}

impl Peer for Underway {
    fn name(_: Kind) -> &'static str {
        "Underway"
    }

    fn package(_: Kind) -> &'static str {
        "underway"
    }

    async fn open(database: &Database, _: usize) -> Result<Self, Error> {
        let Database::Postgres(url) = database else { return Err(Error::NoStore("Underway")) };
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).connect(url).await;
        let pool = pool.map_err(Error::peer)?;
        migrate(pool.clone()).await?;
        let waiting = Arc::new(Waiting::default());
        let (job, worked) = (checkout(&pool, &waiting).await?, checkout(&pool, &waiting).await?);
        let mut worker = worked.worker();
        worker.set_concurrency_limit(TASKS);
        let worker = tokio::spawn(async move {
            if let Err(error) = worker.run_every(LOOK_EVERY_MS.milliseconds()).await {
                anstream::eprintln!("the worker failed: {error}");
            }
        });
        Ok(Self { job, waiting, worker })
    }

    async fn run(&self, order: Order) -> Result<(), Error> {
        let reached = self.waiting.for_order(order.id);
        self.job.enqueue(&order).await.map_err(Error::peer)?;
        ended(reached).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.worker.abort();
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    peers::main::<Underway>().await
}
