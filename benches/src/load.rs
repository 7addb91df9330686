//! The closed loop: so many tasks, each runs one key after the other until the time is up.

use std::future::Future;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// What a loop has done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Load {
    /// From its begin until its last run was over.
    pub seconds: f64,
    /// Of each run, from its begin until its answer.
    pub latencies_us: Vec<u32>,
}

impl Load {
    /// How many runs.
    pub fn runs(&self) -> usize {
        self.latencies_us.len()
    }
}

/// Runs `once` again and again in so many tasks. A run that has begun is waited for.
///
/// # Errors
/// The first error of a run; the others are given up.
pub async fn drive<F, Fut, E>(in_flight: usize, time: Duration, once: F) -> Result<Load, E>
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let once = once.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < time {
                let begun = Instant::now();
                once().await?;
                latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Ok(latencies)
        });
    }
    let mut load = Load::default();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(latencies) => load.latencies_us.extend(latencies?),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    load.seconds = began.elapsed().as_secs_f64();
    Ok(load)
}
