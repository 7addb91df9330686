//! The metrics, as Prometheus reads them.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use workflow::Runner;
use workflow_metrics::{BUCKETS, Metrics};

use crate::shop::{Shop, ShopStore};

/// How long the database may take to tell its gauges: less than a scrape waits.
const LIMIT: Duration = Duration::from_secs(5);
/// Prometheus's text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a scrape needs.
#[derive(Clone)]
pub(super) struct Scraped<S: ShopStore> {
    runner: Runner<S, Shop>,
    metrics: Metrics,
    recorder: PrometheusHandle,
}

impl<S: ShopStore> Scraped<S> {
    pub(super) fn new(runner: &Runner<S, Shop>, recorder: PrometheusHandle) -> Self {
        Self { runner: runner.clone(), metrics: Metrics::new(), recorder }
    }
}

/// Records from here on what this process does.
pub(super) fn install() -> Result<PrometheusHandle, BuildError> {
    let mut recorder = PrometheusBuilder::new();
    for (name, buckets) in BUCKETS {
        recorder = recorder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    let recorder = recorder.install_recorder()?;
    Metrics::new().describe();
    Ok(recorder)
}

/// `GET /metrics`. Without a database the gauges stay as they were: what this process counts is told all the same.
pub(super) async fn rendered<S: ShopStore>(State(scraped): State<Scraped<S>>) -> impl IntoResponse {
    match tokio::time::timeout(LIMIT, scraped.metrics.gauges(&scraped.runner)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the gauges cannot be read");
        }
        Err(_) => tracing::warn!("the gauges cannot be read: the database does not answer"),
    }
    scraped.recorder.run_upkeep();
    ([(CONTENT_TYPE, TEXT)], scraped.recorder.render())
}
