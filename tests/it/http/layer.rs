//! The layer for plain handlers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, request::Parts};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::json;
use tokio::sync::Semaphore;
use workflow::Runner;
use workflow_axum::{EffectKey, IdempotencyLayer, Live, Settings};

use super::shop::{Got, LEASE, send};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

/// A bank whose handler answers as the body says.
pub(super) struct Bank {
    charges: AtomicUsize,
    effect_keys: Mutex<Vec<EffectKey>>,
    pub(super) arrived: Semaphore,
    pub(super) gate: Semaphore,
}

impl Bank {
    pub(super) fn new() -> Arc<Self> {
        let (arrived, gate) = (Semaphore::new(0), Semaphore::new(0));
        Arc::new(Self { charges: AtomicUsize::new(0), effect_keys: Mutex::default(), arrived, gate })
    }

    pub(super) fn charges(&self) -> usize {
        self.charges.load(Ordering::SeqCst)
    }

    /// Of all calls so far, in their order.
    fn effect_keys(&self) -> Vec<EffectKey> {
        self.effect_keys.lock().unwrap().clone()
    }
}

async fn charge(
    State(bank): State<Arc<Bank>>,
    Extension(effect_key): Extension<EffectKey>,
    body: String,
) -> Response {
    bank.effect_keys.lock().unwrap().push(effect_key);
    let charge = bank.charges.fetch_add(1, Ordering::SeqCst) + 1;
    let form = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if form("hold").is_some_and(|until| until.parse::<usize>().unwrap() >= charge) {
        bank.arrived.add_permits(1);
        bank.gate.acquire().await.unwrap().forget();
    }
    if form("panic").is_some() && charge == 1 {
        std::panic::resume_unwind(Box::new("planned"));
    }
    let status = match form("first") {
        Some(first) if charge == 1 => first.parse().unwrap(),
        _ => form("status").map_or(200, |status| status.parse().unwrap()),
    };
    let long = "x".repeat(form("long").map_or(0, |long| long.parse().unwrap()));
    let body = json!({ "id": format!("ch_{charge}"), "long": long }).to_string();
    let headers =
        [("content-type", "application/json"), ("set-cookie", "session=secret"), ("retry-after", "9")];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

pub(super) fn layer<S: Noted>(store: &S) -> IdempotencyLayer<S> {
    let scope = |request: &Parts| {
        let tenant = request.headers.get("authorization").and_then(|tenant| tenant.to_str().ok());
        tenant.map(str::to_owned).ok_or(StatusCode::UNAUTHORIZED)
    };
    let runner = Runner::builder(store.clone(), Live::default()).lease(LEASE);
    IdempotencyLayer::over(runner, scope).unwrap()
}

pub(super) fn router<S: Noted>(bank: &Arc<Bank>, layer: IdempotencyLayer<S>) -> Router {
    let charges = post(charge).get(|| async { "list" });
    Router::new()
        .route("/v1/charges", charges)
        .route("/v1/other", get(|| async {}).post(charge))
        .layer(layer)
        .with_state(bank.clone())
}

pub(super) fn request(key: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method("POST").uri("/v1/charges").header("authorization", "sk_1");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
    request.body(Body::from(body.to_owned())).unwrap()
}

pub(super) async fn post_charge(router: &Router, key: &str, body: &str) -> Got {
    send(router, request(key, body)).await
}

async fn a_handler_is_called_once_and_replayed<S: Noted>(stage: Stage<S>) {
    for (status, key) in [(200, "a"), (302, "b"), (402, "c"), (404, "d"), (409, "e")] {
        let bank = Bank::new();
        let server = router(&bank, layer(&stage.store));
        let body = format!("amount=5&status={status}");
        let first = post_charge(&server, key, &body).await;
        assert_eq!((first.status, first.is_replayed()), (status, false));
        assert_eq!(first.header("idempotency-key"), Some(key));
        assert_eq!(
            (first.header("set-cookie"), first.header("retry-after")),
            (None, None),
            "they are on no list"
        );
        let restarted = router(&bank, layer(&S::again(&stage).await));
        for server in [&server, &restarted] {
            let again = post_charge(server, key, &body).await;
            assert!(again.is_replayed());
            assert_eq!(again.stored(), first.stored());
            assert_eq!(again.header("content-type"), Some("application/json"));
        }
        assert_eq!(bank.charges(), 1);
    }
}

/// Whatever its bytes are, and whichever encoding says so.
async fn a_body_of_any_bytes_is_replayed_with_its_encoding<S: Noted>(stage: Stage<S>) {
    let bytes: Vec<u8> = (0..=255).collect();
    let headers = [("content-encoding", "x-ours"), ("link", "</a>"), ("vary", "accept-encoding")];
    let encoded = bytes.clone();
    let server = Router::new()
        .route(
            "/v1/charges",
            post(async move || (AppendHeaders(headers), AppendHeaders([("link", "</b>")]), encoded.clone())),
        )
        .layer(layer(&stage.store));
    let first = post_charge(&server, "k", "").await;
    assert_eq!((&first.body[..], first.header("content-encoding")), (&bytes[..], Some("x-ours")));
    assert_eq!((first.headers.get_all("link").iter().count(), first.header("vary")), (2, None));
    let again = post_charge(&server, "k", "").await;
    assert!(again.is_replayed() && again.stored() == first.stored());
}

async fn what_may_pass_is_sent_once_and_not_kept<S: Noted>(stage: Stage<S>) {
    for (status, key) in [(500, "a"), (503, "b"), (429, "c"), (401, "d")] {
        let bank = Bank::new();
        let server = router(&bank, layer(&stage.store));
        let body = format!("amount=5&first={status}");
        let failed = post_charge(&server, key, &body).await;
        assert_eq!((failed.status, &failed.body[..]), (status, &br#"{"id":"ch_1","long":""}"#[..]));
        assert_eq!(failed.header("set-cookie"), Some("session=secret"), "it is the handler's own response");
        let again = post_charge(&server, key, &body).await;
        assert_eq!((again.status, again.is_replayed(), bank.charges()), (200, false, 2));
        assert!(post_charge(&server, key, &body).await.is_replayed());
    }
}

async fn another_request_never_reaches_the_handler<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store));
    let first = tokio::spawn({
        let server = server.clone();
        async move { post_charge(&server, "k", "amount=5&hold=1").await }
    });
    bank.arrived.acquire().await.unwrap().forget();
    // While the first runs, and after it.
    for open in [true, false] {
        let other = post_charge(&server, "k", "amount=6&hold=1").await;
        assert_eq!((other.status, &*other.problem()), (422, "key-reused"));
        let mut elsewhere = request("k", "amount=5&hold=1");
        *elsewhere.uri_mut() = "/v1/other".parse().unwrap();
        assert_eq!(send(&server, elsewhere).await.problem(), "key-reused");
        if open {
            assert_eq!(post_charge(&server, "k", "amount=5&hold=1").await.problem(), "in-progress");
            bank.gate.add_permits(1);
        }
    }
    assert_eq!((first.await.unwrap().status, bank.charges()), (200, 1));
}

/// A nested router sees a path without its prefix.
async fn the_path_counts_as_it_came_into_the_outermost_router<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = Router::new().nest("/banks/{bank}", router(&bank, layer(&stage.store)));
    let at = async |path: &str| {
        let mut request = request("k", "amount=5");
        *request.uri_mut() = path.parse().unwrap();
        send(&server, request).await
    };
    assert_eq!(at("/banks/1/v1/charges").await.status, 200);
    assert_eq!(at("/banks/2/v1/charges").await.problem(), "key-reused");
    // The host is part of the address that a proxy sends, and of every one of HTTP/2.
    assert!(at("http://bank/banks/1/v1/charges").await.is_replayed());
    assert_eq!(bank.charges(), 1);
}

async fn a_duplicate_waits_for_the_first<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store));
    let first = tokio::spawn({
        let server = server.clone();
        async move { post_charge(&server, "k", "hold=1").await }
    });
    bank.arrived.acquire().await.unwrap().forget();
    let mut waiter = request("k", "hold=1");
    waiter.headers_mut().insert("prefer", HeaderValue::from_static("wait=20"));
    let waiter = tokio::spawn({
        let server = server.clone();
        async move { send(&server, waiter).await }
    });
    bank.gate.add_permits(1);
    let (first, waiter) = (first.await.unwrap(), waiter.await.unwrap());
    assert!(waiter.is_replayed() && waiter.body == first.body);
    assert_eq!(bank.charges(), 1);
}

async fn a_response_that_is_too_large_goes_to_the_first_client_alone<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store).with(Settings::default().response_limit(1000)));
    let first = post_charge(&server, "k", "long=5000").await;
    assert!(first.status == 200 && first.body.len() > 5000);
    let again = post_charge(&server, "k", "long=5000").await;
    assert_eq!((again.status, &*again.problem(), again.is_replayed()), (410, "not-kept", true));
    assert_eq!(bank.charges(), 1, "it is not carried out again");
}

async fn a_handler_that_panics_is_called_again<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store));
    assert_eq!(post_charge(&server, "k", "panic=1").await.problem(), "unavailable");
    let again = post_charge(&server, "k", "panic=1").await;
    assert_eq!((again.status, again.is_replayed(), bank.charges()), (200, false, 2));
}

/// Another process, and the first one wakes up too late.
async fn a_handler_whose_process_is_gone_is_called_again<S: Noted>(stage: Stage<S>) {
    for (key, body) in [("a", "hold=1"), ("b", "hold=1&first=503")] {
        is_called_again(&stage, key, body).await;
    }
}

async fn is_called_again<S: Noted>(stage: &Stage<S>, key: &'static str, body: &'static str) {
    let bank = Bank::new();
    let frozen = tokio::spawn({
        let server = router(&bank, layer(&S::again(stage).await));
        async move { post_charge(&server, key, body).await }
    });
    bank.arrived.acquire().await.unwrap().forget();
    stage.clock.advance(LEASE);
    let server = router(&bank, layer(&stage.store));
    let got = post_charge(&server, key, body).await;
    assert_eq!((got.status, &got.body[..]), (200, &br#"{"id":"ch_2","long":""}"#[..]));
    bank.gate.add_permits(1);
    let late = frozen.await.unwrap();
    assert_eq!(
        (late.status, &*late.problem()),
        (409, "in-progress"),
        "what it has answered nobody else will get"
    );
    assert_eq!(post_charge(&server, key, body).await.body, got.body);
    let keys = bank.effect_keys();
    assert!(keys.len() == 2 && keys[0] == keys[1], "both calls made one effect: {keys:?}");
}

/// It is a duplicate of the other's run by then.
async fn who_was_overtaken_may_wait_for_the_other<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let frozen = tokio::spawn({
        let settings = Settings::default().wait(Duration::from_secs(20));
        let server = router(&bank, layer(&S::again(&stage).await).with(settings));
        async move { post_charge(&server, "k", "hold=1").await }
    });
    bank.arrived.acquire().await.unwrap().forget();
    stage.clock.advance(LEASE);
    let got = post_charge(&router(&bank, layer(&stage.store)), "k", "hold=1").await;
    bank.gate.add_permits(1);
    let late = frozen.await.unwrap();
    assert!(late.is_replayed() && late.body == got.body, "{late:?}");
    assert_eq!(bank.charges(), 2);
}

/// What the handler makes durable under it, it makes once.
async fn every_call_of_one_request_has_the_same_effect_key<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store));
    for (key, body) in [("a", "panic=1"), ("a", "panic=1"), ("b", "panic=1"), ("c", "amount=5")] {
        post_charge(&server, key, body).await;
    }
    let mut elsewhere = request("a", "panic=1");
    elsewhere.headers_mut().insert("authorization", HeaderValue::from_static("sk_2"));
    send(&server, elsewhere).await;
    let keys = bank.effect_keys();
    assert_eq!(keys.len(), 5);
    assert_eq!(keys[0], keys[1], "it was called again");
    let distinct: HashSet<_> = keys[1..].iter().collect();
    assert_eq!(distinct.len(), 4, "other keys and scopes make other effects: {keys:?}");
}

async fn what_changes_nothing_passes_by_and_what_does_needs_a_key<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store));
    let listed = send(&server, Request::get("/v1/charges").body(Body::empty()).unwrap()).await;
    assert_eq!((listed.status, &listed.body[..]), (200, &b"list"[..]));
    assert_eq!(post_charge(&server, "", "amount=5").await.problem(), "key-missing");
    assert_eq!(bank.charges(), 0);
    let optional = router(&bank, layer(&stage.store).key_optional());
    let drawn = post_charge(&optional, "", "amount=5").await;
    let key = drawn.header("idempotency-key").unwrap();
    assert!(post_charge(&optional, key, "amount=5").await.is_replayed());
}

/// What counts of a body, and what errors look like, is the application's.
async fn fingerprint_errors_and_what_is_kept_may_be_ones_own<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let own = layer(&stage.store)
        .fingerprint(|_, body| body.split(|byte| *byte == b'&').next().unwrap_or_default().to_vec())
        .keeps(|status| status != 404)
        .with(Settings::default().shape(|problem| {
            let error = json!({ "error": { "type": problem.kind.name(), "message": problem.detail } });
            (StatusCode::BAD_REQUEST, error.to_string()).into_response()
        }));
    let server = router(&bank, own);
    assert_eq!(post_charge(&server, "k", "amount=5&boundary=1").await.status, 200);
    assert!(post_charge(&server, "k", "amount=5&boundary=2").await.is_replayed());
    let reused = post_charge(&server, "k", "amount=6").await;
    assert_eq!(reused.status, 400);
    assert!(String::from_utf8_lossy(&reused.body).starts_with(r#"{"error":{"message":"#), "{reused:?}");
    assert_eq!(post_charge(&server, "other", "a=1&status=404").await.status, 404);
    assert!(!post_charge(&server, "other", "a=1&status=404").await.is_replayed());
}

everywhere!(
    a_handler_is_called_once_and_replayed,
    a_body_of_any_bytes_is_replayed_with_its_encoding,
    what_may_pass_is_sent_once_and_not_kept,
    another_request_never_reaches_the_handler,
    the_path_counts_as_it_came_into_the_outermost_router,
    a_duplicate_waits_for_the_first,
    a_response_that_is_too_large_goes_to_the_first_client_alone,
    a_handler_that_panics_is_called_again,
    a_handler_whose_process_is_gone_is_called_again,
    who_was_overtaken_may_wait_for_the_other,
    every_call_of_one_request_has_the_same_effect_key,
    what_changes_nothing_passes_by_and_what_does_needs_a_key,
    fingerprint_errors_and_what_is_kept_may_be_ones_own,
);
