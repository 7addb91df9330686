//! What one measurement gives.

use serde::Serialize;

/// The last line of a program. What cannot be measured is null.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Which system.
    pub system: &'static str,
    /// Its version.
    pub version: &'static str,
    /// `sqlite` or `postgres`.
    pub store: &'static str,
    /// So many runs at once.
    pub in_flight: usize,
    /// Runs that ended in the window, a second.
    pub runs_per_s: f64,
    /// Half of them took less.
    pub p50_ms: f64,
    /// 99 of 100 took less.
    pub p99_ms: f64,
    /// Transactions that the database committed, empty and reading ones too.
    pub commits_per_run: Option<f64>,
    /// Statements that a client sent, BEGIN and COMMIT too.
    pub statements_per_run: Option<f64>,
    /// Write-ahead log.
    pub wal_bytes_per_run: Option<f64>,
    /// What the database has grown by, with indexes and dead rows.
    pub table_bytes_per_run: f64,
    /// CPU time of this process, not of the server.
    pub cpu_us_per_run: f64,
    /// The durability switches as they were read back.
    pub durability: String,
}

/// The value below which this share of the sorted values lies.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
