//! The figures of a lane: medians over its rounds, and what a run costs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::lane::Done;
use crate::sample::Sample;

/// The figures of a lane. What cannot be counted is `None`.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// The median of the rounds.
    pub runs_per_s: f64,
    /// The slowest round.
    pub runs_per_s_min: f64,
    /// The fastest round.
    pub runs_per_s_max: f64,
    /// The median of the rounds' medians.
    pub p50_ms: f64,
    /// The median of the rounds' 99th percentiles.
    pub p99_ms: f64,
    /// As the database counts them: in PostgreSQL those that only read too.
    pub commits_per_run: f64,
    /// Transactions that have written.
    pub xids_per_run: Option<f64>,
    /// As PostgreSQL counts them, `BEGIN` and `COMMIT` included.
    pub statements_per_run: Option<f64>,
    /// Of the whole server.
    pub wal_bytes_per_run: Option<f64>,
    /// Tables and indexes.
    pub table_bytes_per_run: f64,
    /// Of the client's processes.
    pub cpu_us_per_run: Option<f64>,
    /// Of the server's processes.
    pub server_cpu_us_per_run: Option<f64>,
    /// Of the client's processes.
    pub peak_mib: Option<f64>,
}

impl Figures {
    /// Of what a lane has done.
    pub fn of(done: &Done) -> Self {
        let runs: usize = done.rounds.iter().map(|round| round.latencies.len()).sum();
        let a_run = |total: Option<f64>| total.map(|total| rounded(total / runs as f64));
        let rates = sorted(done.rounds.iter().map(|round| round.rate));
        let samples: Vec<_> = done.rounds.iter().map(|round| Sample::new(round.latencies.clone())).collect();
        let quantile = |share: f64| {
            let all = sorted(samples.iter().map(|sample| sample.quantile_us(share) / 1000.0));
            rounded(median(&all))
        };
        let cpu_us = done.rounds.iter().map(|round| round.cpu_us).sum();
        let peaks = done.rounds.iter().filter_map(|round| round.peak_mib);
        Self {
            runs_per_s: rounded(median(&rates)),
            runs_per_s_min: rounded(rates.first().copied().unwrap_or_default()),
            runs_per_s_max: rounded(rates.last().copied().unwrap_or_default()),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            commits_per_run: rounded(done.a_run.commits),
            xids_per_run: a_run(done.spent.xids),
            statements_per_run: a_run(done.spent.statements),
            wal_bytes_per_run: a_run(done.spent.wal_bytes),
            table_bytes_per_run: rounded(done.a_run.table_bytes),
            cpu_us_per_run: a_run(cpu_us),
            server_cpu_us_per_run: a_run(done.spent.server_cpu_us),
            peak_mib: peaks.reduce(f64::max).map(rounded),
        }
    }

    /// The figures by name, in the order in which they are shown.
    pub fn rows(&self) -> [(&'static str, Option<f64>); 11] {
        [
            ("runs a second", Some(self.runs_per_s)),
            ("p50, ms", Some(self.p50_ms)),
            ("p99, ms", Some(self.p99_ms)),
            ("commits a run", Some(self.commits_per_run)),
            ("statements a run", self.statements_per_run),
            ("WAL bytes a run", self.wal_bytes_per_run),
            ("table bytes a run", Some(self.table_bytes_per_run)),
            ("client CPU, µs a run", self.cpu_us_per_run),
            ("server CPU, µs a run", self.server_cpu_us_per_run),
            ("client's peak, MiB", self.peak_mib),
            ("writing commits a run", self.xids_per_run),
        ]
    }
}

/// The figures of several lanes, by name.
pub type ByLane = BTreeMap<&'static str, Figures>;

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The median of figures in any order; 0 of none.
pub fn median_of(figures: &[f64]) -> f64 {
    median(&sorted(figures.iter().copied()))
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        len if len.is_multiple_of(2) => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

/// To three places: no figure here is known better.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
