//! The server: the routes, and the sweep beside them.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use workflow::Runner;

use crate::app::App;
use crate::failure::Failure;
use crate::http;
use crate::store::ShopStore;
use crate::sweep::sweep;

/// Serves until `stop` is done; what is under way then is answered first. `ready` is told the address, whose port the
/// system has chosen if it was 0.
///
/// # Errors
/// [`Failure`].
pub async fn serve<S: ShopStore>(
    runner: Runner<S, App>,
    listen: &str,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let router = http::router(runner.clone())?;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|source| Failure::Listen { at: listen.to_owned(), source })?;
    ready(listener.local_addr()?);
    let sweeping = tokio::spawn(sweep(runner));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
    sweeping.abort();
    Ok(served?)
}
