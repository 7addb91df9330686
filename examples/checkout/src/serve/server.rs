//! The server's life: it listens, waits for its database, opens the shop, and ends in good order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::front::Front;
use super::signals::Signals;
use super::{api, guard, metrics, page};
use crate::failure::Failure;
use crate::gateway::Slow;
use crate::import::chain;
use crate::open::{self, AnyStore};
use crate::settings::{Calls, Database, Migration, Running, Secret, Serving};
use crate::shop::ShopStore;

/// How long requests under way may still take when the server is asked to end: all of it has 10 seconds.
const DEADLINE: Duration = Duration::from_secs(8);
/// Between two looks for a database that is away; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// All settings of a server.
#[derive(Clone)]
pub struct Serve {
    /// The database.
    pub database: Database,
    /// Whether it is brought up to date.
    pub migration: Migration,
    /// The secret keys.
    pub secret: Secret,
    /// Calls to the outside.
    pub calls: Calls,
    /// How keys are run.
    pub running: Running,
    /// HTTP.
    pub serving: Serving,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not to be had.
    #[error("cannot listen on {at}: choose another address with --listen")]
    Listen {
        /// The address.
        at: String,
        /// Why.
        source: std::io::Error,
    },
    /// The database stayed away.
    #[error("the database did not come within {} s: check --database-url, or wait longer with --start-timeout-ms",
        waited.as_secs_f64())]
    NoDatabase {
        /// How long it was waited for.
        waited: Duration,
        /// What it said last.
        source: Box<Failure>,
    },
    /// There is a recorder of metrics in this process already.
    #[error("the metrics cannot be recorded")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The server failed.
    #[error("the server stopped")]
    Stopped(#[source] std::io::Error),
}

/// Serves the shop until SIGTERM or SIGINT. `ready` is told the address, whose port the system has chosen if it was 0; the
/// database may still be on its way then.
///
/// # Errors
/// [`Failure`].
pub async fn serve(serve: Serve, ready: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
    many_files();
    let at = &serve.serving.listen;
    let listen = |source| StartError::Listen { at: at.clone(), source };
    let listener = TcpListener::bind(at).await.map_err(listen)?;
    let mut signals = Signals::listen()?;
    ready(listener.local_addr().map_err(listen)?);
    let (front, end) = (Front::default(), CancellationToken::new());
    let served = axum::serve(listener, front.router()).with_graceful_shutdown(end.clone().cancelled_owned());
    let served = async { served.await.map_err(|e| Failure::from(StartError::Stopped(e))) };
    let opened = async {
        front.open(opened(&serve).await?);
        tracing::info!("the shop is open");
        std::future::pending().await
    };
    let ended = async {
        signals.next().await;
        tracing::info!("ending: requests under way go on for a while");
        end.cancel();
        tokio::select! {
            () = sleep(DEADLINE) => tracing::warn!("requests are still under way: their keys stay where they stand"),
            () = signals.next() => tracing::warn!("ended by a second signal: keys under way stay where they stand"),
        }
        Ok(())
    };
    tokio::select! {
        served = served => served,
        failed = opened => failed,
        ended = ended => ended,
    }
}

/// The shop, as soon as its database is there.
async fn opened(serve: &Serve) -> Result<Router, Failure> {
    let recorder = metrics::install().map_err(StartError::Metrics)?;
    match when_there(serve).await? {
        AnyStore::Sqlite(store) => shop(serve, store, recorder).await,
        AnyStore::Postgres(store) => shop(serve, store, recorder).await,
    }
}

async fn shop<S: ShopStore>(serve: &Serve, store: S, recorder: PrometheusHandle) -> Result<Router, Failure> {
    let keys = open::secret_keys(&store, &serve.database, &serve.secret).await?;
    let mut shop = open::shop(&serve.database, &serve.calls, serve.running.stock)?;
    let delay = serve.serving.gateway_delay();
    if !delay.is_zero() && serve.calls.gateway_url.is_none() {
        shop.gateway = Arc::new(Slow { gateway: shop.gateway, delay });
    }
    let ledger = match serve.calls.gateway_url {
        Some(_) => None,
        None => Some(open::ledger_file(&serve.database, &serve.calls)?),
    };
    let runner = open::runner(store, &keys, &serve.running, shop)?;
    let page = page::routes(&runner, ledger, serve.serving.crash_button);
    Ok(guard::guarded(api::routes(&runner, &serve.serving, recorder).merge(page)))
}

/// Opens the store; one that is away is waited for.
async fn when_there(serve: &Serve) -> Result<AnyStore, Failure> {
    let waited = Duration::from_millis(serve.serving.start_timeout_ms);
    let until = Instant::now() + waited;
    let mut pause = FIRST_PAUSE;
    loop {
        let opening = AnyStore::open(&serve.database, &serve.migration);
        let failed = match opening.await {
            Err(Failure::Store(error)) if error.is_transient() => Failure::Store(error),
            opened => return opened,
        };
        if Instant::now() + pause > until {
            return Err(StartError::NoDatabase { waited, source: Box::new(failed) }.into());
        }
        tracing::warn!(error = chain(&failed), "the database is away: tried again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Raises the soft limit of open files to the hard one: each connection is a file.
fn many_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
