//! A service of two routes that places orders, and a client of it without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::{Builder, Parts};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use workflow::{Atomic, Foreign, Halt, RecoveryPoint, Response, Runner, Step, Workflow};
use workflow_axum::{Idempotency, Settings, run, status};

use crate::phases::stage::{Noted, Notes};

/// So long that only the clock ends it.
pub(super) const LEASE: Duration = Duration::from_secs(3600);

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    order_id: String,
    amount: i64,
}

impl RecoveryPoint for Order {
    const NAME: &'static str = "started";
}

#[derive(Serialize, Deserialize)]
pub(super) struct Checked;

impl RecoveryPoint for Checked {
    const NAME: &'static str = "checked";
}

/// What the steps do, and how often they ran.
#[derive(Default)]
pub(super) struct Shop {
    pub(super) runs: AtomicUsize,
    pub(super) holds: AtomicUsize,
    pub(super) fails: AtomicUsize,
    arrived: Option<Semaphore>,
    gate: Option<Semaphore>,
}

impl Shop {
    pub(super) fn new() -> Arc<Self> {
        let gate = || Some(Semaphore::new(0));
        Arc::new(Self { arrived: gate(), gate: gate(), ..Self::default() })
    }

    /// Returns when a run is held.
    pub(super) async fn arrived(&self) {
        self.arrived.as_ref().unwrap().acquire().await.unwrap().forget();
    }

    pub(super) fn open(&self) {
        self.gate.as_ref().unwrap().add_permits(1);
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// Whether this counter had something left.
    fn takes(counter: &AtomicUsize) -> bool {
        counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

pub(super) fn orders<C: Notes>() -> Workflow<C, Shop, Order> {
    Workflow::new("orders").foreign("check", check).checkpoint().atomic("place", place::<C>).build()
}

async fn check(cx: Foreign<'_, Shop, Order>, order: Order) -> Step<Checked> {
    cx.app.runs.fetch_add(1, Ordering::SeqCst);
    if Shop::takes(&cx.app.holds) {
        cx.app.arrived.as_ref().unwrap().add_permits(1);
        cx.app.gate.as_ref().unwrap().acquire().await.unwrap().forget();
    }
    if Shop::takes(&cx.app.fails) {
        Err(Halt::of("away"))?;
    }
    if order.amount == 402 {
        Err(Response::new(402, json!({ "error": "declined" })))?;
    }
    Ok(Checked)
}

async fn place<C: Notes>(cx: Atomic<'_, C, Shop, Order>, _: Checked) -> Step<Response> {
    let order = cx.request();
    cx.conn.note(&order.order_id).await.map_err(Halt::of)?;
    let body = json!({ "order_id": order.order_id, "amount": order.amount, "fence": cx.fence() });
    let response = Response::new(201, body).with_header("Location", format!("/orders/{}", order.order_id));
    Ok(response
        .with_header("Link", "</a>")
        .with_header("Link", "</b>")
        .with_header("Set-Cookie", "session=secret"))
}

/// The tenant is whoever the header says.
pub(super) fn tenant(request: &Parts) -> Result<String, StatusCode> {
    let name = request.headers.get("authorization").and_then(|name| name.to_str().ok());
    name.map(str::to_owned).ok_or(StatusCode::UNAUTHORIZED)
}

pub(super) fn router<S: Noted>(shop: &Arc<Shop>, store: &S, settings: Settings) -> Router {
    let runner = Runner::builder(store.clone(), shop.clone()).lease(LEASE).with(orders::<S::Conn>);
    let idempotency = Idempotency::new(runner.build().unwrap(), tenant).with(settings);
    let rule = |order: &Order| if order.amount < 0 { Err("amount is negative") } else { Ok(()) };
    Router::new()
        .route("/orders", post(run(orders::<S::Conn>).validate(rule)).put(run(orders::<S::Conn>)))
        .route("/shops/{shop}/orders", post(run(orders::<S::Conn>)))
        .route("/orders/{order_id}", put(run(orders::<S::Conn>).with_path().unstored(busy)))
        .route("/optional", post(run(orders::<S::Conn>).key_optional()))
        .route("/optional/{id}", put(run(orders::<S::Conn>).key_optional()))
        .route("/orders/status", get(status(orders::<S::Conn>)))
        .with_state(idempotency)
}

/// What a client hears of a step that is away.
fn busy(error: &(dyn std::error::Error + 'static)) -> Option<axum::response::Response> {
    (error.to_string() == "away").then(|| (StatusCode::CONFLICT, "busy").into_response())
}

/// What came back.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// The kind of a problem.
    pub(super) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }

    /// What a replay must have like the first time.
    pub(super) fn stored(&self) -> (u16, Vec<(String, Vec<u8>)>, Bytes) {
        let ours = ["idempotency-key", "idempotent-replayed", "access-control-expose-headers"];
        let headers = self.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        (self.status, headers.collect(), self.body.clone())
    }
}

pub(super) fn request(method: &str, path: &str, key: &str) -> Builder {
    let request = Request::builder().method(method).uri(path).header("authorization", "tenant-7");
    let request = request.header("content-type", "application/json");
    if key.is_empty() { request } else { request.header("idempotency-key", key) }
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> Got {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Got { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(super) async fn post_order(router: &Router, key: &str, body: &str) -> Got {
    send(router, request("POST", "/orders", key).body(body.to_owned().into()).unwrap()).await
}

pub(super) fn order(order_id: &str) -> String {
    json!({ "order_id": order_id, "amount": 5 }).to_string()
}
