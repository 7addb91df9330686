//! durare, on PostgreSQL and on SQLite.
//!
//! Tuned: a pool of 20 connections on PostgreSQL instead of 8. Nothing is polled: the process that starts a workflow
//! runs it, and its result comes back without the database.
//! Set right: on SQLite its own `connect` has `synchronous = NORMAL`; here it gets the same pool with FULL.

use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use durare::{
    DurableContext, DurableEngine, PostgresProvider, SqliteProvider, StateProvider, WorkflowOptions,
};
use peers::{Database, Done, Error, Kind, Order, Peer, Receipt, STEPS, pragmas, work};
use sqlx_old::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx_old::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

#[durare::workflow]
async fn checkout(ctx: DurableContext, order: Order) -> durare::Result<Receipt> {
    let mut last: Option<Done> = None;
    for name in STEPS {
        last = Some(ctx.step(name, move || async move { Ok(work::step(name, order.id)) }).await?);
    }
    Ok(work::receipt(&last.unwrap_or_else(|| work::step("none", 0))))
}

/// Its schema, which `connect` would choose too.
const SCHEMA: &str = "dbos";
const CONNECTIONS_POSTGRES: u32 = 20;
/// As its own `connect` has.
const CONNECTIONS_SQLITE: u32 = 5;

struct Durare {
    engine: DurableEngine,
    sqlite: Option<SqlitePool>,
}

impl Peer for Durare {
    fn name(_: Kind) -> &'static str {
        "durare"
    }

    fn package(_: Kind) -> &'static str {
        "durare"
    }

    async fn open(database: &Database, _: usize) -> Result<Self, Error> {
        let (provider, sqlite): (Arc<dyn StateProvider>, _) = match database {
            Database::Postgres(url) => {
                let options =
                    PgConnectOptions::from_str(url).map_err(Error::peer)?.options([("search_path", SCHEMA)]);
                let pool =
                    PgPoolOptions::new().max_connections(CONNECTIONS_POSTGRES).connect_with(options).await;
                let pool = pool.map_err(Error::peer)?;
                (Arc::new(PostgresProvider::from_pool_with_schema(pool, SCHEMA).map_err(Error::peer)?), None)
            }
            Database::Sqlite(file) => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true)
                    .foreign_keys(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(5));
                let pool =
                    SqlitePoolOptions::new().max_connections(CONNECTIONS_SQLITE).connect_with(options).await;
                let pool = pool.map_err(Error::peer)?;
                (Arc::new(SqliteProvider::from_pool(pool.clone())), Some(pool))
            }
        };
        let engine = DurableEngine::new(provider).await.map_err(Error::peer)?;
        engine.launch().await.map_err(Error::peer)?;
        Ok(Self { engine, sqlite })
    }

    async fn run(&self, order: Order) -> Result<(), Error> {
        let expected = order.id;
        let options = WorkflowOptions::with_id(order.id.to_string());
        let handle = self.engine.start_with(Checkout, order, options).await.map_err(Error::peer)?;
        let receipt: Receipt = handle.await.map_err(Error::peer)?;
        if receipt.order == expected { Ok(()) } else { Err(Error::Answer(format!("{receipt:?}"))) }
    }

    async fn pragmas(&self) -> Result<Vec<(String, i64)>, Error> {
        match &self.sqlite {
            Some(pool) => pragmas::read_old(pool).await,
            None => Ok(Vec::new()),
        }
    }

    async fn close(&self) -> Result<(), Error> {
        self.engine.shutdown(Duration::from_secs(2)).await.map_err(Error::peer)?;
        if let Some(pool) = &self.sqlite {
            pool.close().await;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    peers::main::<Durare>().await
}
