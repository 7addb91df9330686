//! What plain handlers answer at the edges, and what reaches them at all.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{Method, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use futures_util::stream;
use tower::{Layer, Service, ServiceExt};
use workflow_axum::Settings;

use super::layer::{Bank, layer, post_charge, request, router};
use super::shop::send;
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

async fn a_response_is_kept_up_to_the_limit<S: Noted>(stage: Stage<S>) {
    let long = post(|length: String| async move { "x".repeat(length.parse().unwrap()) });
    let layer = layer(&stage.store).with(Settings::default().response_limit(1000));
    let server = Router::new().route("/v1/charges", long).layer(layer);
    for (length, replayed) in [("1000", 200), ("1001", 410)] {
        let first = post_charge(&server, length, length).await;
        assert_eq!((first.status, first.body.len().to_string()), (200, length.to_owned()));
        assert_eq!(post_charge(&server, length, length).await.status, replayed, "{length}");
    }
}

async fn a_response_that_breaks_off_is_not_kept<S: Noted>(stage: Stage<S>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let broken = {
        let calls = calls.clone();
        post(move || async move {
            let whole = calls.fetch_add(1, Ordering::SeqCst) > 0;
            let end = if whole { Ok("end") } else { Err(io::Error::from(io::ErrorKind::ConnectionReset)) };
            Body::from_stream(stream::iter([Ok("begin "), end]))
        })
    };
    let server = Router::new().route("/v1/charges", broken).layer(layer(&stage.store));
    let first = post_charge(&server, "k", "").await;
    assert_eq!((first.status, &*first.problem()), (500, "internal"));
    let again = post_charge(&server, "k", "").await;
    assert_eq!((again.status, &again.body[..], again.is_replayed()), (200, &b"begin end"[..], false));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

async fn a_body_above_the_limit_never_reaches_the_handler<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store).with(Settings::default().body_limit(10)));
    let long = post_charge(&server, "k", "amount=1000").await;
    assert_eq!((long.status, &*long.problem(), bank.charges()), (413, "too-large", 0));
    assert_eq!(post_charge(&server, "k", "amount=100").await.status, 200);
}

/// A list that grows later shows nothing of what was answered before.
async fn a_header_that_is_on_no_list_is_not_stored<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    post_charge(&router(&bank, layer(&stage.store)), "k", "amount=5").await;
    let settings = Settings::default().headers([CONTENT_TYPE, SET_COOKIE]);
    let longer = router(&bank, layer(&stage.store).with(settings));
    let replayed = post_charge(&longer, "k", "amount=5").await;
    assert!(replayed.is_replayed());
    assert_eq!(
        (replayed.header("content-type"), replayed.header("set-cookie")),
        (Some("application/json"), None)
    );
}

async fn every_method_that_changes_something_needs_a_key_and_counts<S: Noted>(stage: Stage<S>) {
    let server = Router::new().route("/v1/charges", any(|| async { "done" })).layer(layer(&stage.store));
    let by = async |method: &Method, key: &str| {
        let mut request = request(key, "");
        *request.method_mut() = method.clone();
        send(&server, request).await
    };
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        let passed = by(&method, "k").await;
        assert_eq!((passed.status, passed.header("idempotency-key")), (200, None), "{method}");
    }
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(by(&method, "").await.problem(), "key-missing", "{method}");
        let expected = if method == Method::POST { 200 } else { 422 };
        assert_eq!(by(&method, "k").await.status, expected, "{method}");
    }
    let mut nobody = request("k", "");
    nobody.headers_mut().remove("authorization");
    assert_eq!(send(&server, nobody).await.status, 401);
}

/// A service that is called as tower has it: the one that was asked whether it is ready.
#[derive(Default)]
struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.is_ready, "it was not asked");
        ready(Ok("done".into_response()))
    }
}

async fn the_service_that_is_ready_is_the_one_that_is_called<S: Noted>(stage: Stage<S>) {
    let mut server = layer(&stage.store).layer(Strict::default());
    for key in ["a", "b"] {
        let response = server.ready().await.unwrap().call(request(key, "")).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let safe = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(server.ready().await.unwrap().call(safe).await.unwrap().status(), 200);
}

everywhere!(
    a_response_is_kept_up_to_the_limit,
    a_response_that_breaks_off_is_not_kept,
    a_body_above_the_limit_never_reaches_the_handler,
    a_header_that_is_on_no_list_is_not_stored,
    every_method_that_changes_something_needs_a_key_and_counts,
    the_service_that_is_ready_is_the_one_that_is_called,
);
