//! The command line: what is understood, and which part of the library does it.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use medusa_cart::{AnyStore, Book, Failure, ShopStore, adopt, runner, serve};
use owo_colors::OwoColorize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Medusa's cart completion over HTTP: a cart becomes one order, whatever happens on the way.
///
/// Without a command it serves.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve Medusa's store routes
    Serve(Serve),
    /// Take over the keys of a Medusa v1 out of its table `idempotency_key`, and finish the unfinished ones
    Adopt(Database),
}

#[derive(Args)]
struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "MEDUSA_CART_LISTEN", default_value = "127.0.0.1:9000")]
    listen: String,
    #[command(flatten)]
    database: Database,
}

#[derive(Args)]
struct Database {
    /// The shop's database: `sqlite://relative.db`, `sqlite:///absolute/path.db` or `postgres://…`
    #[arg(
        long,
        env = "MEDUSA_CART_DATABASE_URL",
        default_value = "sqlite://medusa-cart.db",
        hide_env_values = true
    )]
    database_url: String,
    /// How long the keys of a killed process are waited for, in milliseconds
    #[arg(long, env = "MEDUSA_CART_LEASE_MS", default_value_t = 5000)]
    lease_ms: u64,
    /// How long an answer of the built-in payment provider is on its way, in milliseconds
    #[arg(long, hide = true, default_value_t = 0)]
    payment_delay_ms: u64,
}

impl Cli {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command.unwrap_or(Command::Serve(self.serve)) {
            Command::Serve(options) => match AnyStore::open(&options.database.database_url).await? {
                AnyStore::Sqlite(store) => options.run(store).await,
                AnyStore::Postgres(store) => options.run(store).await,
            },
            Command::Adopt(database) => match AnyStore::open(&database.database_url).await? {
                AnyStore::Sqlite(store) => database.adopt(store).await,
                AnyStore::Postgres(store) => database.adopt(store).await,
            },
        }
    }
}

impl Serve {
    async fn run<S: ShopStore>(&self, store: S) -> Result<(), Failure> {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        let ready = |address| println!("listening on http://{address}");
        serve(self.database.runner(store)?, &self.listen, ready, stop).await
    }
}

impl Database {
    fn runner<S: ShopStore>(&self, store: S) -> Result<workflow::Runner<S, medusa_cart::App>, Failure> {
        let book = Book::new(store.clone()).delayed(Duration::from_millis(self.payment_delay_ms));
        Ok(runner(store, Arc::new(book), Duration::from_millis(self.lease_ms))?)
    }

    async fn adopt<S: ShopStore>(&self, store: S) -> Result<(), Failure> {
        let summary = adopt(&self.runner(store)?).await?;
        anstream::println!("{}\n{summary}", "Keys of Medusa v1".bold());
        Ok(())
    }
}

/// The log, on standard error: warnings, unless `RUST_LOG` says otherwise.
pub(crate) fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}
