//! The comparison: who is measured, what came out, and how it is shown.

pub mod chart;
pub mod document;
pub mod lineup;
pub mod medians;
pub mod results;
pub mod start;

pub use lineup::{Lineup, System};
pub use medians::{Medians, Row};
pub use results::{Outcome, Results};
pub use start::Run;

/// Why there is no comparison. A system that fails is none of these: it is a line in the table.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no server.
    #[error("DATABASE_URL names no PostgreSQL server; `benches/peers/run` starts one")]
    NoServer,
    /// A name that `--list` does not print.
    #[error("there is no system {0:?}; --list prints them")]
    NoSystem(String),
    /// The server failed.
    #[error("the server failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A file failed.
    #[error("{0}: {1}")]
    File(std::path::PathBuf, #[source] std::io::Error),
    /// Results cannot be written as JSON.
    #[error("results cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// The document has lost the place of the table.
    #[error("{0} has no line {1:?}")]
    NoMarker(std::path::PathBuf, &'static str),
    /// The program that draws failed.
    #[error("the chart was not drawn: {0}")]
    Chart(String),
}
