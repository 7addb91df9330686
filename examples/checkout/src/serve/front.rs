//! What answers before the shop is open, and hands everything on after that.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use crate::problem;

/// The shop, as soon as it is open.
#[derive(Debug, Clone, Default)]
pub(super) struct Front(Arc<OnceLock<Router>>);

impl Front {
    pub(super) fn open(&self, shop: Router) {
        // It is opened once.
        let _ = self.0.set(shop);
    }

    pub(super) fn router(&self) -> Router {
        Router::new().fallback(handed_on).with_state(self.clone())
    }
}

async fn handed_on(State(front): State<Front>, request: Request) -> Response {
    match front.0.get() {
        Some(shop) => shop.clone().oneshot(request).await.into_response(),
        None if request.uri().path() == "/healthz" => super::health::alive().await,
        None => starting(),
    }
}

fn starting() -> Response {
    let detail = "The shop is not open yet: it waits for its database. Nothing is lost; ask again.";
    let mut response = problem::response(503, "unavailable", detail);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
