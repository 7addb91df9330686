//! The closed loop: so many tasks, each of which begins the next run when its last one has ended. The warm-up and the
//! window are longer than asked for if by then not as many runs have ended in them as are in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use tokio::task::JoinSet;

use crate::site::{Counters, Site};
use crate::{Error, Order, Peer};

/// Connections, caches and statements are warm after it.
const WARM_UP: Duration = Duration::from_secs(1);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What hangs longer is no measurement.
const LONGEST: Duration = Duration::from_secs(60);

/// What was seen.
pub struct Seen {
    /// What each run of the window took, in milliseconds, sorted.
    pub latencies: Vec<f64>,
    /// How long the window was.
    pub window: Duration,
    /// All runs that ended, those of the warm-up and the last ones too.
    pub runs: u64,
    /// This process's CPU time in the window.
    pub cpu: Duration,
    /// The server's counters when it began and when it ended.
    pub counters: [Counters; 2],
}

type Times = Vec<(Instant, Duration)>;

/// Works for the warm-up and the window.
///
/// # Errors
/// The first run's that fails, and the database's.
pub async fn work<P: Peer>(
    peer: Arc<P>,
    site: &mut Site,
    in_flight: usize,
    seconds: f64,
) -> Result<Seen, Error> {
    let (next, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        tasks.spawn(again_and_again(peer.clone(), next.clone(), stop.clone()));
    }
    sleep(WARM_UP, &mut tasks).await?;
    until(2 * in_flight as u64, &next, &mut tasks).await?;
    let (before, cpu_before, begin) = (site.counters().await?, cpu()?, Instant::now());
    let begun = next.load(Ordering::Relaxed);
    sleep(Duration::from_secs_f64(seconds), &mut tasks).await?;
    until(begun + in_flight as u64, &next, &mut tasks).await?;
    let (end, cpu_after, after) = (Instant::now(), cpu()?, site.counters().await?);
    stop.store(true, Ordering::Relaxed);

    let all = tokio::time::timeout(LONGEST, collect(&mut tasks)).await;
    let all = all.map_err(|_| Error::Stuck(LONGEST.as_secs()))??;
    let within = all.iter().filter(|(ended, _)| (begin..end).contains(ended));
    let mut latencies: Vec<f64> = within.map(|(_, took)| took.as_secs_f64() * 1e3).collect();
    latencies.sort_by(f64::total_cmp);
    if latencies.is_empty() {
        return Err(Error::NoRuns);
    }
    let cpu = cpu_after.saturating_sub(cpu_before);
    Ok(Seen { latencies, window: end - begin, runs: all.len() as u64, cpu, counters: [before, after] })
}

async fn again_and_again<P: Peer>(
    peer: Arc<P>,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Result<Times, Error> {
    let mut times = Times::new();
    while !stop.load(Ordering::Relaxed) {
        let order = Order::new(next.fetch_add(1, Ordering::Relaxed));
        let begun = Instant::now();
        peer.run(order).await?;
        times.push((Instant::now(), begun.elapsed()));
    }
    Ok(times)
}

/// Waits until so many runs have begun: each that ends begins the next.
async fn until(begun: u64, next: &AtomicU64, tasks: &mut JoinSet<Result<Times, Error>>) -> Result<(), Error> {
    let longest = Instant::now() + LONGEST;
    while next.load(Ordering::Relaxed) < begun {
        if Instant::now() > longest {
            return Err(Error::Stuck(LONGEST.as_secs()));
        }
        sleep(LOOK_EVERY, tasks).await?;
    }
    Ok(())
}

/// A task that ends before it is told to has failed.
async fn sleep(time: Duration, tasks: &mut JoinSet<Result<Times, Error>>) -> Result<(), Error> {
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        Some(failed) = tasks.join_next() => failed?.map(drop),
    }
}

async fn collect(tasks: &mut JoinSet<Result<Times, Error>>) -> Result<Times, Error> {
    let mut all = Times::new();
    while let Some(times) = tasks.join_next().await {
        all.extend(times??);
    }
    Ok(all)
}

/// What this process has used so far.
fn cpu() -> Result<Duration, Error> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = [usage.user_time(), usage.system_time()].map(|t| t.tv_sec() * 1_000_000 + t.tv_usec());
    Ok(Duration::from_micros(micros.iter().sum::<i64>().unsigned_abs()))
}
