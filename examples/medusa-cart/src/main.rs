//! The program `medusa-cart`.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use owo_colors::OwoColorize;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli::log();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure, failure.exit_code()),
    }
}

/// An error with all that stands behind it, in one line.
fn failed(error: &(dyn std::error::Error + 'static), code: u8) -> ExitCode {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    anstream::eprintln!("{} {text}", "error:".red().bold());
    ExitCode::from(code)
}
