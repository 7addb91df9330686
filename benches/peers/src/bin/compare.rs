//! Measures all systems in turn, round after round, and writes the table and the charts. Started by `run`, which
//! builds what this starts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use peers::compare::{Failure, Lineup, Medians, Results, Run, chart, document, start};

/// Measures all systems in turn.
#[derive(Parser)]
struct Args {
    /// How often each is measured.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each measurement counts.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How many runs at once.
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    in_flight: Vec<usize>,
    /// Only these systems, by the names that `--list` prints.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Prints the systems' names and ends.
    #[arg(long)]
    list: bool,
    /// The main workspace.
    #[arg(long)]
    root: PathBuf,
    /// The Python that has the Python peers.
    #[arg(long)]
    python: PathBuf,
    /// Why there is none.
    #[arg(long)]
    no_python: Option<String>,
    /// The folder of the SQLite files.
    #[arg(long)]
    scratch: PathBuf,
    /// Where every measurement is written to, one JSON object a line.
    #[arg(long)]
    results: PathBuf,
    /// Today.
    #[arg(long)]
    date: String,
    /// Measures and prints the table, but writes neither document nor charts.
    #[arg(long)]
    no_document: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Failure> {
    let lineup = Lineup::new(&args.root, &args.python, &args.scratch)?.only(&args.only)?;
    if args.list {
        lineup.names().for_each(|name| anstream::println!("{name}"));
        return Ok(());
    }
    let url = std::env::var("DATABASE_URL").map_err(|_| Failure::NoServer)?;
    let server = start::server_version(&url).await?;
    let mut results = Results::create(&args.results)?;
    for round in 1..=args.rounds {
        for &in_flight in &args.in_flight {
            for system in lineup.systems() {
                let run =
                    Run { round, in_flight, seconds: args.seconds, no_python: args.no_python.as_deref() };
                let outcome = start::measure(system, &run).await;
                anstream::eprintln!("round {round}, {in_flight} in flight, {}: {outcome}", system.id);
                results.add(system, &run, outcome)?;
            }
        }
    }
    let medians = Medians::of(&results, &args.in_flight);
    let text = document::text(&medians, args.rounds, args.seconds, &args.date, &server);
    anstream::println!("{text}");
    if args.no_document { Ok(()) } else { publish(&args.root, &text, &medians) }
}

fn publish(root: &Path, text: &str, medians: &Medians) -> Result<(), Failure> {
    document::write(&root.join("docs/performance.md"), text)?;
    for (store, title) in [("postgres", "PostgreSQL"), ("sqlite", "SQLite")] {
        chart::draw(root, store, title, medians)?;
    }
    Ok(())
}
