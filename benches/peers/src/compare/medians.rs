//! The medians of all rounds, and how far the rounds lie apart.

use super::Results;
use super::lineup::OURS;
use super::results::{Figures, Measured, Outcome};

/// A figure over all rounds.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The middle one; of two middle ones the lower.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Self { median: values[(values.len() - 1) / 2], low, high })
    }
}

/// One system on one store with so many runs in flight.
#[derive(Clone, Debug)]
pub struct Row {
    /// The system.
    pub name: &'static str,
    /// Its version.
    pub version: Option<String>,
    /// `postgres` or `sqlite`.
    pub store: &'static str,
    /// So many runs at once.
    pub in_flight: usize,
    /// Runs a second; nothing, if no round gave any.
    pub runs: Option<Spread>,
    /// The medians of the other columns.
    pub others: Vec<Option<f64>>,
    /// The rounds that gave no figures, and what the last of them said.
    pub failed: Option<(usize, usize, String)>,
    /// It was never started, because.
    pub not_installed: Option<String>,
}

/// All rows, and ours to compare them with.
pub struct Medians {
    rows: Vec<Row>,
    in_flight: Vec<usize>,
}

type Column = fn(&Figures) -> Option<f64>;

/// What stands in the columns after the runs a second.
const OTHERS: [Column; 7] = [
    |f| Some(f.p50_ms),
    |f| Some(f.p99_ms),
    |f| f.commits_per_run,
    |f| f.statements_per_run,
    |f| f.wal_bytes_per_run,
    |f| f.table_bytes_per_run,
    |f| f.cpu_us_per_run,
];

impl Medians {
    /// Of all that was measured.
    #[must_use]
    pub fn of(results: &Results, in_flight: &[usize]) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for measured in results.all() {
            let same = |row: &Row| {
                (row.name, row.store, row.in_flight) == (measured.name, measured.store, measured.in_flight)
            };
            if !rows.iter().any(same) {
                rows.push(row(measured, results.all()));
            }
        }
        Self { rows, in_flight: in_flight.to_owned() }
    }

    /// How many runs at once there were.
    #[must_use]
    pub fn in_flight(&self) -> &[usize] {
        &self.in_flight
    }

    /// The rows of a store, ours first, then the fastest.
    #[must_use]
    pub fn rows(&self, store: &str, in_flight: usize) -> Vec<&Row> {
        let mut rows: Vec<_> =
            self.rows.iter().filter(|r| r.store == store && r.in_flight == in_flight).collect();
        let speed = |row: &Row| row.runs.map_or(-1.0, |runs| runs.median);
        rows.sort_by(|a, b| (b.name == OURS).cmp(&(a.name == OURS)).then(speed(b).total_cmp(&speed(a))));
        rows
    }

    /// How much faster ours is, if both have figures.
    #[must_use]
    pub fn ratio(&self, row: &Row) -> Option<f64> {
        let ours = self.rows(row.store, row.in_flight).into_iter().find(|ours| ours.name == OURS)?.runs?;
        Some(ours.median / row.runs?.median)
    }
}

fn row(first: &Measured, all: &[Measured]) -> Row {
    let of_it =
        all.iter().filter(|m| (m.name, m.store, m.in_flight) == (first.name, first.store, first.in_flight));
    let (mut figures, mut failures, mut not_installed) = (Vec::new(), Vec::new(), None);
    for measured in of_it {
        match &measured.outcome {
            Outcome::Figures(some, _) => figures.push(some.as_ref()),
            Outcome::Failed(why) => failures.push(why.clone()),
            Outcome::NotInstalled(why) => not_installed = Some(why.clone()),
        }
    }
    let rounds = figures.len() + failures.len();
    let median =
        |column: &Column| Spread::of(figures.iter().filter_map(|f| column(f)).collect()).map(|s| s.median);
    Row {
        name: first.name,
        version: figures.last().and_then(|f| f.version.clone()),
        store: first.store,
        in_flight: first.in_flight,
        runs: Spread::of(figures.iter().map(|f| f.runs_per_s).collect()),
        others: OTHERS.iter().map(median).collect(),
        failed: failures.last().map(|why| (failures.len(), rounds, why.clone())),
        not_installed,
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_is_one_that_was_measured() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.low, spread.median, spread.high), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(vec![2.0, 1.0]).unwrap().median, 1.0);
        assert!(Spread::of(vec![]).is_none());
    }
}
