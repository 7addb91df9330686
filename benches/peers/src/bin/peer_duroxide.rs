//! duroxide, on SQLite and, with duroxide-pg, on PostgreSQL.
//!
//! Tuned: its dispatchers look every 10 ms instead of 100 ms, 4 instead of 2 of each kind (more of them, or more
//! often, take the time that the others need); 20 connections on PostgreSQL instead of 10. The awaiting client looks
//! too, after 5 ms and then ever later, up to 100 ms: fixed in the crate.
//! Set right: on SQLite it sets `synchronous = WAL`, which is no value and leaves NORMAL; here every connection of its
//! pool is set to FULL.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::{Provider, sqlite::SqliteProvider};
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry};
use duroxide_pg::PostgresProvider;
use peers::{Database, Done, Error, Kind, Order, Peer, Receipt, STEPS, pragmas, work};

async fn checkout(ctx: OrchestrationContext, order: Order) -> Result<Receipt, String> {
    let mut last = None;
    for name in STEPS {
        let done: Done = ctx.schedule_activity_typed(name, &order.id).await?;
        last = Some(done);
    }
    Ok(work::receipt(&last.unwrap_or_else(|| work::step("none", 0))))
}

fn activities() -> ActivityRegistry {
    let mut registry = ActivityRegistry::builder();
    for name in STEPS {
        registry = registry.register_typed(name, move |_: ActivityContext, order: u64| async move {
            Ok(work::step(name, order))
        });
    }
    registry.build()
}

/// Only the environment sets it.
const POOL: &str = "DUROXIDE_PG_POOL_MAX";
const CONNECTIONS: &str = "20";
const LOOK_EVERY: Duration = Duration::from_millis(10);
const DISPATCHERS: usize = 4;
const LONGEST: Duration = Duration::from_secs(60);

struct Duroxide {
    client: Client,
    runtime: Arc<Runtime>,
    sqlite: Option<Arc<SqliteProvider>>,
}

impl Peer for Duroxide {
    fn name(store: Kind) -> &'static str {
        if store == Kind::Sqlite { "duroxide" } else { "duroxide-pg" }
    }

    fn package(store: Kind) -> &'static str {
        Self::name(store)
    }

    async fn open(database: &Database, _: usize) -> Result<Self, Error> {
        let (provider, sqlite): (Arc<dyn Provider>, _) = match database {
            Database::Postgres(url) => {
                (Arc::new(PostgresProvider::new(url).await.map_err(Error::peer)?), None)
            }
            Database::Sqlite(file) => {
                let url = format!("sqlite:{}?mode=rwc", file.display());
                let provider = Arc::new(SqliteProvider::new(&url, None).await.map_err(Error::peer)?);
                pragmas::set_full_old(provider.get_pool()).await?;
                (provider.clone(), Some(provider))
            }
        };
        let options = RuntimeOptions {
            dispatcher_min_poll_interval: LOOK_EVERY,
            orchestration_concurrency: DISPATCHERS,
            worker_concurrency: DISPATCHERS,
            ..RuntimeOptions::default()
        };
        let workflows = OrchestrationRegistry::builder().register_typed("checkout", checkout).build();
        let runtime = Runtime::start_with_options(provider.clone(), activities(), workflows, options).await;
        Ok(Self { client: Client::new(provider), runtime, sqlite })
    }

    async fn run(&self, order: Order) -> Result<(), Error> {
        let (id, expected) = (order.id.to_string(), order.id);
        self.client.start_orchestration_typed(&id, "checkout", order).await.map_err(Error::peer)?;
        let ended =
            self.client.wait_for_orchestration_typed::<Receipt>(&id, LONGEST).await.map_err(Error::peer)?;
        match ended {
            Ok(receipt) if receipt.order == expected => Ok(()),
            other => Err(Error::Answer(format!("{other:?}"))),
        }
    }

    async fn pragmas(&self) -> Result<Vec<(String, i64)>, Error> {
        match &self.sqlite {
            Some(provider) => pragmas::read_old(provider.get_pool()).await,
            None => Ok(Vec::new()),
        }
    }

    async fn close(&self) -> Result<(), Error> {
        self.runtime.clone().shutdown(None).await;
        if let Some(provider) = &self.sqlite {
            provider.get_pool().close().await;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::var_os(POOL).is_none() {
        let error = again_with(POOL, CONNECTIONS);
        anstream::eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    peers::main::<Duroxide>().await
}

/// The same program with this in its environment, which a running one cannot safely change. Returns only if it fails.
fn again_with(name: &str, value: &str) -> std::io::Error {
    match std::env::current_exe() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).env(name, value).exec(),
        Err(error) => error,
    }
}
