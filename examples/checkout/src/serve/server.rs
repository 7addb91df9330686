//! The server's life: it listens, waits for its database, opens the shop, and ends in good order.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
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

/// How long requests under way may still take when the server is asked to end, and after that the steps of runs. All of
/// it has 10 seconds.
const REQUESTS: Duration = Duration::from_secs(4);
const RUNS: Duration = Duration::from_secs(4);
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
    let (front, end, runs) = (Front::default(), CancellationToken::new(), OnceLock::new());
    let served = axum::serve(listener, front.router()).with_graceful_shutdown(end.clone().cancelled_owned());
    let mut served = pin!(served.into_future());
    tokio::select! {
        failed = open(&serve, &front, &runs) => return failed,
        ended = &mut served => return ended.map_err(|e| StartError::Stopped(e).into()),
        () = signals.next() => tracing::info!("ending: what is under way goes on for a while"),
    }
    end.cancel();
    let in_good_order = async {
        // Whoever waits for an answer may still get it; after that, runs end where they are.
        let _ = tokio::time::timeout(REQUESTS, served).await;
        match runs.get() {
            Some(runs) => runs(RUNS).await,
            None => true,
        }
    };
    tokio::select! {
        true = in_good_order => {}
        () = signals.next() => tracing::warn!("ended by a second signal: leases run out by themselves"),
        else => tracing::warn!("steps are still under way: their leases run out by themselves"),
    }
    Ok(())
}

/// Shuts the runner down: whether all its leases are given back within this time.
type Runs = Box<dyn Fn(Duration) -> BoxFuture<'static, bool> + Send + Sync>;

/// Opens the shop, and returns only if that fails.
async fn open(serve: &Serve, front: &Front, runs: &OnceLock<Runs>) -> Result<(), Failure> {
    let (shop, shutdown) = opened(serve).await?;
    // It is opened once.
    let _ = runs.set(shutdown);
    front.open(shop);
    tracing::info!("the shop is open");
    std::future::pending().await
}

/// The shop, as soon as its database is there.
async fn opened(serve: &Serve) -> Result<(Router, Runs), Failure> {
    let recorder = metrics::install().map_err(StartError::Metrics)?;
    match when_there(serve).await? {
        AnyStore::Sqlite(store) => shop(serve, store, recorder).await,
        AnyStore::Postgres(store) => shop(serve, store, recorder).await,
    }
}

async fn shop<S: ShopStore>(
    serve: &Serve,
    store: S,
    recorder: PrometheusHandle,
) -> Result<(Router, Runs), Failure> {
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
    let routes = guard::guarded(api::routes(&runner, &serve.serving, recorder).merge(page));
    let shutdown: Runs = Box::new(move |deadline| {
        let runner = runner.clone();
        async move { runner.shutdown(deadline).await }.boxed()
    });
    Ok((routes, shutdown))
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
