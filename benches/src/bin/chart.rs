//! Points in, a picture out.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use benches::chart::{Frame, NoChart, draw, points};
use clap::Parser;

/// Reads points from standard input and draws a chart as SVG.
///
/// A line is a point: {"series": "ours", "x": 16, "y": 4100, "low": 3900, "high": 4200}; low and high may be left out.
/// Of bars,
/// x is a name.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    frame: Frame,
    /// The file that is written.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    NoChart(#[from] NoChart),
    #[error("standard input cannot be read")]
    Input(#[source] std::io::Error),
    #[error("{} cannot be written", path.display())]
    Output { path: PathBuf, source: std::io::Error },
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            anstream::eprintln!("error: {error}{}", source.unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let mut lines = String::new();
    std::io::stdin().read_to_string(&mut lines).map_err(Failure::Input)?;
    let svg = draw(&points(&lines)?, &args.frame)?;
    std::fs::write(&args.out, svg).map_err(|source| Failure::Output { path: args.out, source })
}
