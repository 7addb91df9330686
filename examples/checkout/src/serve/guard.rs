//! What stands around every route: the log, a panic's answer, and what a browser may do with an answer.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::problem;

/// Everything from this server alone; no inline script, no frame, no form to elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn guarded(routes: Router) -> Router {
    let log = TraceLayer::new_for_http().make_span_with(span).on_response(answered);
    routes
        .method_not_allowed_fallback(|| async {
            problem::response(405, "method", "This address knows other methods: see the header Allow.")
        })
        .fallback(|| async { problem::response(404, "not-found", "There is nothing at this address.") })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(always(CONTENT_SECURITY_POLICY, POLICY))
        .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(REFERRER_POLICY, "no-referrer"))
        .layer(log)
}

/// A header of every answer.
fn always(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

/// The route, not the path: a path may hold what does not belong into a log, and so may every header.
fn span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    match request.method().is_safe() {
        true => tracing::debug_span!("request", method = %request.method(), route),
        false => tracing::info_span!("request", method = %request.method(), route),
    }
}

/// One line a request; of one that only looks, at the level of debugging.
fn answered(response: &Response, took: Duration, span: &Span) {
    if span.is_disabled() {
        return;
    }
    tracing::info!(status = response.status().as_u16(), took_ms = took.as_millis(), "answered");
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    problem::response(500, "internal", "The service failed. Nothing is lost.")
}
