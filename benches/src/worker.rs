//! The worker: a process of its own that runs the workload over the real runner, a round whenever it is told to. What
//! it
//! spends is then its own, whatever else is measured beside it.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use workflow::{Defines, Key, Runner, Store};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::failure::Failure;
use crate::load::drive;
use crate::orders::Orders;
use crate::payload::Request;
use crate::round::Round;
use crate::workflows::{self, App};
use crate::workload::{Kind, Workload};

/// Says that it is there, and runs a round for each line of standard input, which is the round's seconds.
///
/// # Errors
/// [`Failure`].
pub async fn work(url: &str, workload: Workload, in_flight: usize) -> Result<(), Failure> {
    log()?;
    workflows::set_length(workload.steps);
    if url.starts_with("sqlite:") {
        let store = Sqlite::connect(url, workflow_sqlite::Options::default()).await?;
        on(store, workload, in_flight).await
    } else {
        let store = Postgres::connect(url, workflow_postgres::Options::default()).await?;
        on(store, workload, in_flight).await
    }
}

/// As users have it: formatted, from `info` on unless `RUST_LOG` says else; where it goes is not part of the
/// measurement.
fn log() -> Result<(), Failure> {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let nowhere = File::options().write(true).open("/dev/null")?;
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Arc::new(nowhere)).init();
    Ok(())
}

async fn on<S>(store: S, workload: Workload, in_flight: usize) -> Result<(), Failure>
where
    S: Store<Conn: Orders>,
{
    let builder = Runner::builder(store, App::new(workload.point_bytes));
    match workload.kind {
        Kind::Foreign5 => {
            rounds(builder.with(workflows::foreign).build()?, workflows::foreign, in_flight).await
        }
        Kind::Atomic5 => rounds(builder.with(workflows::atomic).build()?, workflows::atomic, in_flight).await,
        Kind::Checkout => {
            rounds(builder.with(workflows::checkout).build()?, workflows::checkout, in_flight).await
        }
    }
}

async fn rounds<S, W>(runner: Runner<S, App>, workflow: W, in_flight: usize) -> Result<(), Failure>
where
    S: Store,
    W: Defines<S::Conn, App, Request>,
{
    let request = Arc::new(Request::new(0));
    let number = Arc::new(AtomicU64::new(0));
    say("ready")?;
    while let Some(line) = tokio::task::spawn_blocking(next_line).await.map_err(io::Error::other)?? {
        let seconds: f64 = serde_json::from_str(&line)?;
        let (runner, request, number) = (runner.clone(), request.clone(), number.clone());
        let once = move || {
            let request = request.of(number.fetch_add(1, Ordering::Relaxed));
            let call = Key::fresh("bench").map(|key| runner.run(workflow, key, request));
            async move {
                call?.await?;
                Ok(())
            }
        };
        let load = drive::<_, _, Failure>(in_flight, Duration::from_secs_f64(seconds), once);
        say(&serde_json::to_string(&Round::of(load).await?)?)?;
    }
    Ok(())
}

fn next_line() -> io::Result<Option<String>> {
    let mut line = String::new();
    Ok((io::stdin().lock().read_line(&mut line)? > 0).then_some(line))
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

