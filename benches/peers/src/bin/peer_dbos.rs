//! DBOS for Rust, on PostgreSQL.
//!
//! Tuned: 20 connections instead of 10. Nothing is polled: the process that starts a workflow runs it, and its result
//! comes back without the database.

use std::process::ExitCode;

use dbos::{Config, DBOS, RunOptions, WorkflowRef, step};
use peers::{Database, Done, Error, Kind, Order, Peer, Receipt, STEPS, work};

async fn checkout(order: Order) -> dbos::Result<Receipt> {
    let mut last = None;
    for name in STEPS {
        let done: Done =
            step(name, move || async move { dbos::Result::Ok(work::step(name, order.id)) }).await?;
        last = Some(done);
    }
    Ok(work::receipt(&last.unwrap_or_else(|| work::step("none", 0))))
}

struct Dbos {
    engine: DBOS,
    checkout: WorkflowRef<Order, Receipt>,
}

impl Peer for Dbos {
    fn name(_: Kind) -> &'static str {
        "DBOS (Rust)"
    }

    fn package(_: Kind) -> &'static str {
        "dbos"
    }

    async fn open(database: &Database, _: usize) -> Result<Self, Error> {
        let Database::Postgres(url) = database else { return Err(Error::NoStore("DBOS for Rust")) };
        let config = Config {
            app_version: Some("1".to_owned()),
            max_connections: 20,
            ..Config::new("bench-app", url)
        };
        let engine = DBOS::new(config);
        let checkout = engine.register_workflow("checkout", checkout).map_err(Error::peer)?;
        engine.launch().await.map_err(Error::peer)?;
        Ok(Self { engine, checkout })
    }

    async fn run(&self, order: Order) -> Result<(), Error> {
        let (id, expected) = (order.id.to_string(), order.id);
        let options = RunOptions { workflow_id: Some(&id), ..RunOptions::default() };
        let receipt = self.checkout.run_with(order, options).await.map_err(Error::peer)?;
        if receipt.order == expected { Ok(()) } else { Err(Error::Answer(format!("{receipt:?}"))) }
    }

    async fn close(&self) -> Result<(), Error> {
        self.engine.shutdown().await;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    peers::main::<Dbos>().await
}
