//! One measurement of one peer, from the fresh database to the figures.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use crate::figures::quantile;
use crate::site::{Settled, Site};
use crate::working::{Seen, work};
use crate::{Args, Error, Figures, Kind, Peer, sqlite, versions};

/// A peer that does not stop is stopped by the end of its process.
const CLOSING: Duration = Duration::from_secs(5);

/// Measures.
///
/// # Errors
/// Whatever makes that there is no figure.
pub async fn measure<P: Peer>(args: &Args) -> Result<Figures, Error> {
    let mut site = Site::fresh(&args.database).await?;
    let measured = on_site::<P>(args, &mut site).await;
    let removed = site.remove().await;
    let figures = measured?;
    removed.map(|()| figures)
}

async fn on_site<P: Peer>(args: &Args, site: &mut Site) -> Result<Figures, Error> {
    make_tables(site).await?;
    let before = site.settled().await?;
    site.checkpoint().await?;
    let peer = Arc::new(P::open(&site.database(), args.in_flight).await?);
    let seen = work(peer.clone(), site, args.in_flight, args.seconds).await?;
    let durability = match site {
        Site::Postgres(server) => server.durability().await?,
        Site::Sqlite { .. } => sqlite::durability(&peer.pragmas().await?)?,
    };
    if let Ok(closed) = tokio::time::timeout(CLOSING, peer.close()).await {
        closed?;
    }
    let after = site.settled().await?;
    Ok(figures::<P>(args, site.database().kind(), &seen, [before, after], durability))
}

/// In a process of its own, of which nothing is left, so that the commits of the migrations can be told apart.
async fn make_tables(site: &Site) -> Result<(), Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--database", "unused", "--prepare", &site.exactly()]).stdin(Stdio::null());
    let output = command.output().await?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Error::Prepare(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counters of seconds are far below 2^52")]
fn figures<P: Peer>(
    args: &Args,
    store: Kind,
    seen: &Seen,
    settled: [Settled; 2],
    durability: String,
) -> Figures {
    let counted = seen.latencies.len() as f64;
    let a_run = |[before, after]: [Option<i64>; 2], runs: f64| Some((after? - before?) as f64 / runs);
    let [before, after] = settled;
    Figures {
        system: P::name(store),
        version: versions::of(P::package(store)),
        store: if store == Kind::Sqlite { "sqlite" } else { "postgres" },
        in_flight: args.in_flight,
        runs_per_s: counted / seen.window.as_secs_f64(),
        p50_ms: quantile(&seen.latencies, 0.50),
        p99_ms: quantile(&seen.latencies, 0.99),
        commits_per_run: a_run([before.commits, after.commits], seen.runs as f64),
        statements_per_run: a_run(seen.counters.map(|c| c.statements), counted),
        wal_bytes_per_run: a_run(seen.counters.map(|c| c.wal), counted),
        table_bytes_per_run: (after.bytes - before.bytes) as f64 / seen.runs as f64,
        cpu_us_per_run: seen.cpu.as_secs_f64() * 1e6 / counted,
        durability,
    }
}
