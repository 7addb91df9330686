//! One round: so many seconds of one lane.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::load::Load;
use crate::meter::process;

/// What a process has done in a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    /// The runs.
    pub load: Load,
    /// The processor time of the process.
    pub cpu_us: Option<f64>,
    /// The most memory that the process has had so far.
    pub peak_mib: Option<f64>,
}

impl Round {
    /// Measures what this process spends on a load.
    ///
    /// # Errors
    /// The load's.
    pub async fn of(load: impl Future<Output = Result<Load, Failure>>) -> Result<Self, Failure> {
        let before = process::cpu_us();
        let load = load.await?;
        let cpu_us = before.zip(process::cpu_us()).map(|(before, after)| after - before);
        Ok(Self { load, cpu_us, peak_mib: process::peak_mib() })
    }
}

/// What all processes of a lane have done in a round.
#[derive(Debug, Clone)]
pub struct Sum {
    /// Runs a second.
    pub rate: f64,
    /// Of each run.
    pub latencies: Vec<Duration>,
    /// As of a [`Round`], of all processes.
    pub cpu_us: Option<f64>,
    /// As of a [`Round`], of all processes.
    pub peak_mib: Option<f64>,
}

impl Sum {
    /// Of rounds at the same time.
    ///
    /// # Errors
    /// [`Failure::NoRun`].
    pub fn of(rounds: &[Round]) -> Result<Self, Failure> {
        let latencies = rounds.iter().flat_map(|round| &round.load.latencies_us);
        let latencies: Vec<_> = latencies.map(|us| Duration::from_micros(u64::from(*us))).collect();
        if latencies.is_empty() {
            return Err(Failure::NoRun);
        }
        Ok(Self {
            rate: rounds.iter().map(|round| round.load.runs() as f64 / round.load.seconds).sum(),
            latencies,
            cpu_us: rounds.iter().map(|round| round.cpu_us).sum(),
            peak_mib: rounds.iter().map(|round| round.peak_mib).sum(),
        })
    }
}
