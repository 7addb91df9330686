//! The command line, the same for every peer.

use clap::Parser;

/// Runs the five steps on one system, again and again, and prints the figures as one JSON object on the last line.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// So many runs at once.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// Counts for so long, after one second that is not counted.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// `postgres://…`: a server, on which a database is made for this measurement and dropped after it; or
    /// `sqlite:FOLDER`: a folder, in which a file is.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database: String,
    /// Makes the tables in exactly this database and ends. The program calls itself so.
    #[arg(long, hide = true)]
    pub prepare: Option<String>,
}
