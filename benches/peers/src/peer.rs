//! A peer: what a program has to say about its system.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::{Args, Database, Error, Kind, Order, measure};

/// One system, opened on a fresh database.
pub trait Peer: Sized + Send + Sync + 'static {
    /// What the system is called in the table, on this store.
    fn name(store: Kind) -> &'static str;

    /// The package whose version it is.
    fn package(store: Kind) -> &'static str;

    /// Opens it, makes its tables if there are none, and starts its workers for so many runs at once.
    ///
    /// # Errors
    /// The peer's.
    fn open(database: &Database, in_flight: usize) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Runs one order from the request to the stored response.
    ///
    /// # Errors
    /// The peer's, and an answer that is not the last step's.
    fn run(&self, order: Order) -> impl Future<Output = Result<(), Error>> + Send;

    /// `journal_mode` and `synchronous` of every connection of the pool, read back on it.
    ///
    /// # Errors
    /// The database's.
    fn pragmas(&self) -> impl Future<Output = Result<Vec<(String, i64)>, Error>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Stops the workers.
    ///
    /// # Errors
    /// The peer's.
    fn close(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The body of every program's `main`.
pub async fn main<P: Peer>() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run::<P>(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run<P: Peer>(args: &Args) -> Result<(), Error> {
    if let Some(exactly) = &args.prepare {
        let database = match exactly.strip_prefix("sqlite:") {
            Some(path) => Database::Sqlite(PathBuf::from(path)),
            None => Database::Postgres(exactly.clone()),
        };
        return P::open(&database, args.in_flight).await?.close().await;
    }
    let figures = measure::measure::<P>(args).await?;
    anstream::println!("{}", serde_json::to_string(&figures).map_err(Error::peer)?);
    Ok(())
}
