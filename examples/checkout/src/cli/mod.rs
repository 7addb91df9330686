//! The command line: what is understood, and which part of the library does it.

mod cancel;
mod gateway;
mod import;
mod look;
mod serve;
mod supervise;

use std::path::PathBuf;

use checkout::{AnyStore, Database, Failure, Migration, run_demo, run_demo_child};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// A shop whose one workflow never charges twice and never loses a paid order.
///
/// Without a command it runs the demo. Every CHECKOUT_… variable has a flag of the same name, which overrides it.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: Demo,
}

#[derive(Subcommand)]
enum Command {
    /// Kill a purchase right after its charge, resume it, then place every purchase of a real shop
    Demo(Demo),
    /// Place one order for each line of a purchase file; run again, it goes on where it stopped
    Import(Box<import::Import>),
    /// Cancel a checkout: what it has reached is undone; once the order is placed it is too late
    Cancel(Box<cancel::Cancel>),
    /// Serve the shop over HTTP, with a page for people
    Serve(Box<serve::Serve>),
    /// Serve the built-in payment gateway as a process of its own
    Gateway(gateway::Gateway),
    /// Print every key with the steps that it has run, one JSON object a line
    Audit(look::Audit),
    /// Print the orders, one JSON object a line
    Orders(look::Look),
    /// Print the outbox of staged jobs, one JSON object a line
    Outbox(look::Look),
    /// Print the stock, one JSON object a line
    Stock(look::Look),
    /// Create or upgrade the tables; safe when many processes do it at once
    Migrate(Migrate),
    /// The process that the demo kills
    #[command(hide = true)]
    DemoChild(DemoChild),
}

#[derive(Args)]
struct Demo {
    /// Where the demo keeps its database [default: target/checkout-demo where there is a target, else
    /// checkout-demo]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print one JSON object as the last line, and everything else on standard error
    #[arg(long)]
    json: bool,
    /// Only so many purchases
    #[arg(long, hide = true)]
    limit: Option<usize>,
}

#[derive(Args)]
struct Migrate {
    #[command(flatten)]
    database: Database,
}

#[derive(Args)]
struct DemoChild {
    #[arg(long)]
    dir: PathBuf,
}

impl Cli {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command.unwrap_or(Command::Demo(self.demo)) {
            Command::Demo(demo) => run_demo(demo.dir, demo.json, demo.limit).await,
            Command::Import(import) => import.run().await,
            Command::Cancel(cancel) => cancel.run().await,
            Command::Serve(serve) => serve.run().await,
            Command::Gateway(gateway) => gateway.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Orders(look) => look.orders().await,
            Command::Outbox(look) => look.outbox().await,
            Command::Stock(look) => look.stock().await,
            Command::Migrate(migrate) => {
                AnyStore::open(&migrate.database, &Migration::default()).await.map(drop)
            }
            Command::DemoChild(child) => run_demo_child(&child.dir).await,
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Cli {
    /// Begins the log, on standard error: warnings, of a server also each request, unless `RUST_LOG` says otherwise.
    pub(crate) fn log(&self) {
        let (level, format) = match &self.command {
            Some(Command::Serve(serve)) => ("info", serve.log_format()),
            _ => ("warn", LogFormat::Text),
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match format {
            LogFormat::Text => log.with_ansi(colours).init(),
            LogFormat::Json => log.json().init(),
        }
    }
}
