//! Whether the process lives, and whether the shop is ready.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::shop::ShopStore;

/// How long the store may take to say that it is there.
const LIMIT: Duration = Duration::from_secs(2);

/// The body of `/healthz` and `/readyz`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or what is missing.
    status: &'static str,
}

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Response {
    Json(Health { status: "ok" }).into_response()
}

/// `GET /readyz`: the store is reachable, and its tables are those of this build.
pub(super) async fn ready<S: ShopStore>(State(store): State<S>) -> Response {
    let status = match tokio::time::timeout(LIMIT, store.verify_all()).await {
        Ok(Ok(())) => return alive().await,
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            if error.is_transient() {
                "the database is away"
            } else {
                "the tables are not those of this build"
            }
        }
        Err(_) => "the database does not answer",
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status })).into_response()
}
