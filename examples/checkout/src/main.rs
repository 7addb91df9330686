//! The program `checkout`.

mod cli;

use std::process::ExitCode;

use checkout::chain;
use clap::Parser;
use owo_colors::OwoColorize;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli.log();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => failed(&failure, failure.exit_code()),
    }
}

fn failed(error: &(dyn std::error::Error + 'static), code: u8) -> ExitCode {
    anstream::eprintln!("{} {}", "error:".red().bold(), chain(error));
    ExitCode::from(code)
}
