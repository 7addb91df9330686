//! The routes for programs.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use workflow::Runner;
use workflow_axum::{Idempotency, Settings, run, status};

use super::metrics::Scraped;
use super::tenant::tenant;
use super::{health, metrics, openapi};
use crate::order::Order;
use crate::problem;
use crate::settings::Serving;
use crate::shop::{Shop, ShopStore};
use crate::steps::checkout;

/// Where a checkout is asked for.
pub(super) const CHECKOUTS: &str = "/checkouts";
/// Where it tells how far it is.
pub(super) const STATUS: &str = "/checkouts/status";

pub(super) fn routes<S: ShopStore>(
    runner: &Runner<S, Shop>,
    serving: &Serving,
    recorder: PrometheusHandle,
) -> Router {
    let settings = Settings::default()
        .patience(Duration::from_millis(serving.patience_ms))
        .body_limit(serving.body_limit)
        .status_at(STATUS)
        .problems_at(problem::TYPES);
    let checkouts = Router::new()
        .route(CHECKOUTS, post(run(checkout).validate(Order::validate)))
        .route(STATUS, get(status(checkout)))
        .with_state(Idempotency::new(runner.clone(), tenant).with(settings));
    Router::new()
        .merge(checkouts)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready::<S>).with_state(runner.store().clone()))
        .route("/metrics", get(metrics::rendered::<S>).with_state(Scraped::new(runner, recorder)))
        .route("/openapi.json", get(openapi::document))
}
