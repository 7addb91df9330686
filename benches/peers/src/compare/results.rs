//! What came out of every measurement, kept in a file as it comes.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Run, System};

/// The part of a program's last line that the table shows.
#[derive(Clone, Debug, Deserialize)]
pub struct Figures {
    /// Which version; the library itself does not say.
    pub version: Option<String>,
    /// Runs that ended in the window, a second.
    pub runs_per_s: f64,
    /// Half of them took less.
    pub p50_ms: f64,
    /// 99 of 100 took less.
    pub p99_ms: f64,
    /// Commits.
    pub commits_per_run: Option<f64>,
    /// Statements.
    pub statements_per_run: Option<f64>,
    /// Write-ahead log.
    pub wal_bytes_per_run: Option<f64>,
    /// Growth of the database.
    pub table_bytes_per_run: Option<f64>,
    /// CPU time of the program.
    pub cpu_us_per_run: Option<f64>,
}

/// What came out of one.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Figures: the ones shown, and the whole line.
    Figures(Box<Figures>, Value),
    /// There are none.
    Failed(String),
    /// It was never started.
    NotInstalled(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Figures(figures, _) => {
                write!(
                    f,
                    "{:.1} runs/s, p50 {:.1} ms, p99 {:.1} ms",
                    figures.runs_per_s, figures.p50_ms, figures.p99_ms
                )
            }
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::NotInstalled(why) => write!(f, "not installed: {why}"),
        }
    }
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The system's name in the table.
    pub name: &'static str,
    /// `postgres` or `sqlite`.
    pub store: &'static str,
    /// So many runs at once.
    pub in_flight: usize,
    /// What came out.
    pub outcome: Outcome,
}

/// All measurements so far, and the file they are in.
pub struct Results {
    file: File,
    path: PathBuf,
    all: Vec<Measured>,
}

impl Results {
    /// An empty file.
    ///
    /// # Errors
    /// The file system's.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| Failure::File(path.to_owned(), error))?;
        Ok(Self { file, path: path.to_owned(), all: Vec::new() })
    }

    /// Adds one, to the file first.
    ///
    /// # Errors
    /// The file system's.
    pub fn add(&mut self, system: &System, run: &Run<'_>, outcome: Outcome) -> Result<(), Failure> {
        let mut line = json!({
            "round": run.round, "system": system.name, "store": system.store, "in_flight": run.in_flight,
        });
        match &outcome {
            Outcome::Figures(_, Value::Object(whole)) => {
                let whole = whole.iter().filter(|(name, _)| *name != "system");
                line.as_object_mut()
                    .into_iter()
                    .for_each(|l| l.extend(whole.clone().map(|(k, v)| (k.clone(), v.clone()))));
            }
            Outcome::Figures(..) => {}
            Outcome::Failed(why) => line["failed"] = json!(why),
            Outcome::NotInstalled(why) => line["not_installed"] = json!(why),
        }
        writeln!(self.file, "{line}").map_err(|error| Failure::File(self.path.clone(), error))?;
        self.all.push(Measured { name: system.name, store: system.store, in_flight: run.in_flight, outcome });
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Measured] {
        &self.all
    }
}
