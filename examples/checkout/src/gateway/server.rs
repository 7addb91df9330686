//! The built-in gateway as a process of its own: the same ledger behind HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Charge, Verdict};
use crate::ledger::{Caller, Ledger, LedgerError};

/// Why the gateway does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is not to be had.
    #[error("the gateway cannot listen on {at}: choose another address with --listen")]
    Listen {
        /// The address.
        at: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the gateway stopped")]
    Stopped(#[from] std::io::Error),
}

type Shared = State<Arc<Ledger>>;

/// Serves this ledger until `stop` is done: `POST /charges`, `GET /charges?key=`, `POST /refunds`. `ready` is told
/// the address, whose port the system has chosen if it was 0.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    ledger: Ledger,
    listen: &str,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| ServeError::Listen { at: listen.to_owned(), source })?;
    ready(listener.local_addr()?);
    let routes = Router::new()
        .route("/charges", post(charge).get(find))
        .route("/refunds", post(refund))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(Arc::new(ledger));
    Ok(axum::serve(listener, routes).with_graceful_shutdown(stop).await?)
}

async fn charge(State(ledger): Shared, headers: HeaderMap, Json(charge): Json<Charge>) -> Response {
    let Some(caller) = caller(&headers) else { return no_key() };
    match blocking(move || ledger.charge(&caller, &charge)).await {
        Ok(Verdict::Captured { charge_id }) => answer(StatusCode::CREATED, json!({ "charge_id": charge_id })),
        Ok(Verdict::Declined { reason }) => answer(StatusCode::PAYMENT_REQUIRED, json!({ "error": reason })),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct ByKey {
    key: String,
}

async fn find(State(ledger): Shared, Query(by): Query<ByKey>) -> Response {
    match blocking(move || ledger.find(&by.key)).await {
        Ok(Some(found)) => {
            answer(StatusCode::OK, json!({ "charge_id": found.charge_id, "refunded": found.refunded }))
        }
        Ok(None) => answer(StatusCode::NOT_FOUND, json!({ "error": "no charge under this key" })),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct Refund {
    charge_id: String,
}

async fn refund(State(ledger): Shared, headers: HeaderMap, Json(refund): Json<Refund>) -> Response {
    let Some(caller) = caller(&headers) else { return no_key() };
    match blocking(move || ledger.refund(&caller, &refund.charge_id)).await {
        Ok(refund_id) => answer(StatusCode::CREATED, json!({ "refund_id": refund_id })),
        Err(error) => failed(&error),
    }
}

/// It waits for a file lock and a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Broken> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Broken::Ledger),
        Err(_) => Err(Broken::Task),
    }
}

enum Broken {
    Ledger(LedgerError),
    Task,
}

fn caller(headers: &HeaderMap) -> Option<Caller> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Some(Caller {
        effect_key: text("idempotency-key").filter(|key| !key.is_empty())?.to_owned(),
        node: text("x-node").map(str::to_owned),
        fence: text("x-fence").and_then(|fence| fence.parse().ok()),
        attempt: text("x-attempt").and_then(|attempt| attempt.parse().ok()),
    })
}

fn no_key() -> Response {
    answer(StatusCode::BAD_REQUEST, json!({ "error": "the header Idempotency-Key is missing" }))
}

/// The caller's fault is a 400; a ledger that failed is asked again.
fn failed(broken: &Broken) -> Response {
    match broken {
        Broken::Ledger(LedgerError::Refused(refusal)) => {
            answer(StatusCode::BAD_REQUEST, json!({ "error": refusal.to_string() }))
        }
        Broken::Ledger(error) => {
            tracing::error!(error = error as &dyn std::error::Error, "the ledger failed");
            answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "the ledger failed" }))
        }
        Broken::Task => answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "shutting down" })),
    }
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}
