//! A server that stripe's own clients can charge: `POST /v1/charges`, each card once.

mod account;
mod book;
mod charge;
mod order;
mod refusal;
mod server;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use workflow_sqlite::Sqlite;

use crate::book::Book;
use crate::server::Pace;

/// A server that stripe's own clients can charge, each card once.
#[derive(Debug, Parser)]
struct Cli {
    /// Where charges and idempotency keys are kept
    #[arg(long, default_value = "sqlite://charges.db")]
    database_url: String,
    /// The address to listen on; with port 0 the system chooses one
    #[arg(long, default_value = "127.0.0.1:4242")]
    listen: String,
    /// How long a process that has died keeps its idempotency keys, in milliseconds
    #[arg(long, default_value_t = 5_000)]
    lease_ms: u64,
    /// For tests: how long the server keeps a charge to itself, in milliseconds
    #[arg(long, default_value_t = 0, hide = true)]
    delay_ms: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match serve(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn serve(cli: Cli) -> Result<(), Box<dyn Error>> {
    let pace =
        Pace { lease: Duration::from_millis(cli.lease_ms), delay: Duration::from_millis(cli.delay_ms) };
    let store = Sqlite::open(&cli.database_url).await?;
    let book = Book::open(store.pool()).await?;
    let router = server::router(store, book, pace)?;
    let listener = TcpListener::bind(&cli.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

/// An error with what is behind it.
fn chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain = format!("{chain}: {error}");
        cause = error.source();
    }
    chain
}
