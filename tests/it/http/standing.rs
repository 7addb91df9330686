//! The status resource, and the `202` that points to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::routing::{get, post};
use serde_json::Value;
use workflow::{Foreign, Response, Runner, Step, Workflow};
use workflow_axum::{Idempotency, Settings, run, status};

use super::shop::{Got, Order, Shop, order, orders, post_order, request, router, send, tenant};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Notes, Stage};

fn asking(key: &str) -> axum::http::Request<Body> {
    request("GET", "/orders/status", key).body(Body::empty()).unwrap()
}

async fn asynchronously(server: &Router, key: &str, body: &str) -> Got {
    let request = request("POST", "/orders", key).header("prefer", "respond-async");
    send(server, request.body(body.to_owned().into()).unwrap()).await
}

async fn refund(_: Foreign<'_, Shop, Order>, _: Order) -> Step<Response> {
    Ok(Response::empty(204))
}

fn refunds<C: Notes>() -> Workflow<C, Shop, Order> {
    Workflow::new("refunds").foreign("refund", refund).build()
}

/// Two workflows, and the status of the orders.
fn both<S: Noted>(shop: &Arc<Shop>, store: &S) -> Router {
    let runner =
        Runner::builder(store.clone(), shop.clone()).with(orders::<S::Conn>).with(refunds::<S::Conn>);
    Router::new()
        .route("/orders", post(run(orders::<S::Conn>)))
        .route("/refunds", post(run(refunds::<S::Conn>)))
        .route("/orders/status", get(status(orders::<S::Conn>)))
        .with_state(Idempotency::new(runner.build().unwrap(), tenant))
}

async fn a_key_is_known_to_its_workflow_and_its_tenant_alone<S: Noted>(stage: Stage<S>) {
    let server = both(&Shop::new(), &stage.store);
    let refunded =
        send(&server, request("POST", "/refunds", "refund").body(order("o-1").into()).unwrap()).await;
    assert_eq!(refunded.status, 204);
    assert_eq!(post_order(&server, "order", &order("o-1")).await.status, 201);
    let known = send(&server, asking("order")).await;
    assert_eq!((known.status, known.header("idempotency-key")), (200, Some("order")));
    assert_eq!(known.header("cache-control"), Some("no-store"));
    let unknown = send(&server, asking("never")).await;
    assert_eq!((unknown.status, &*unknown.problem()), (404, "key-unknown"));
    let mut foreign = asking("order");
    foreign.headers_mut().insert("authorization", HeaderValue::from_static("tenant-8"));
    for other in [asking("refund"), foreign] {
        let other = send(&server, other).await;
        assert_eq!((other.status, &other.body), (404, &unknown.body), "as if there were none");
    }
    assert_eq!(send(&server, asking("")).await.problem(), "key-missing");
    let mut nobody = asking("order");
    nobody.headers_mut().remove("authorization");
    assert_eq!(send(&server, nobody).await.status, 401);
}

async fn what_is_accepted_is_stored_already<S: Noted>(stage: Stage<S>) {
    const MANY: usize = 20;
    let shop = Shop::new();
    shop.holds.store(MANY, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default().status_at("/orders/status"));
    for i in 0..MANY {
        let (key, order) = (format!("k{i}"), order(&format!("o-{i}")));
        assert_eq!(asynchronously(&server, &key, &order).await.status, 202);
        let standing: Value = serde_json::from_slice(&send(&server, asking(&key)).await.body).unwrap();
        assert_eq!((&standing["status"], &standing["fence"]), (&"running".into(), &1.into()), "{key}");
    }
    let other = asynchronously(&server, "k0", &order("another")).await;
    assert_eq!((other.status, &*other.problem()), (422, "key-reused"), "it is told at once");
    for _ in 0..MANY {
        shop.open();
    }
}

/// Without a status resource there is nowhere to send a client to.
async fn who_would_rather_hear_of_it_elsewhere_is_answered_if_there_is_no_elsewhere<S: Noted>(
    stage: Stage<S>,
) {
    let shop = Shop::new();
    shop.holds.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default());
    let answered = tokio::spawn(async move { asynchronously(&server, "k", &order("o-1")).await });
    shop.arrived().await;
    shop.open();
    assert_eq!(answered.await.unwrap().status, 201);
}

everywhere!(
    a_key_is_known_to_its_workflow_and_its_tenant_alone,
    what_is_accepted_is_stored_already,
    who_would_rather_hear_of_it_elsewhere_is_answered_if_there_is_no_elsewhere,
);
