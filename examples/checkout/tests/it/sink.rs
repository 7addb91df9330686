//! The outside of somebody else: what it is sent, and what its failures do.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::place::{Place, good};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample.txt");

type Calls = Arc<Mutex<Vec<(String, HeaderMap, Value)>>>;

/// A gateway and a sink that fail at every first attempt.
async fn outside(calls: Calls) -> String {
    async fn call(
        name: &str,
        calls: Calls,
        headers: HeaderMap,
        body: Value,
        good: Value,
    ) -> (StatusCode, Json<Value>) {
        let first = headers["x-attempt"] == "1";
        calls.lock().unwrap().push((name.to_owned(), headers, body));
        match first {
            true => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({}))),
            false => (StatusCode::CREATED, Json(good)),
        }
    }
    let charge = |State(calls): State<Calls>, headers: HeaderMap, Json(body): Json<Value>| async move {
        let good = json!({ "charge_id": format!("ch-{}", body["order_id"]) });
        call("charge", calls, headers, body, good).await
    };
    let ship = |State(calls): State<Calls>, headers: HeaderMap, Json(body): Json<Value>| async move {
        call("ship", calls, headers, body, json!({})).await
    };
    let routes =
        Router::new().route("/charges", post(charge)).route("/shipments", post(ship)).with_state(calls);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{at}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outside_call_is_stamped_and_repeated_under_its_effect_key() {
    let (place, calls) = (Place::sqlite(), Calls::default());
    let url = outside(calls.clone()).await;
    let arguments =
        ["import", FILE, "--limit", "3", "--gateway-url", &url, "--sink-url", &url, "--node-id", "n-1"];
    let mut import = place.command(&arguments);
    good(tokio::task::spawn_blocking(move || import.output().unwrap()).await.unwrap());
    let calls = calls.lock().unwrap();
    for (name, step) in [("charge", "capture_payment"), ("ship", "notify_warehouse")] {
        let of = |order: &Value| -> Vec<_> {
            calls.iter().filter(|call| call.0 == name && call.2["order_id"] == *order).collect()
        };
        let orders: Vec<_> = place.lines(&["orders"]).iter().map(|order| order["order_id"].clone()).collect();
        assert_eq!(orders.len(), 3);
        for order in &orders {
            let attempts = of(order);
            assert_eq!(attempts.len(), 2, "{name}");
            for (i, (_, headers, _)) in attempts.iter().enumerate() {
                assert_eq!(headers["x-attempt"], (i + 1).to_string());
                assert_eq!(headers["x-step"], step);
                assert_eq!(headers["x-node"], "n-1");
                assert!(headers["x-fence"].to_str().unwrap().parse::<i64>().unwrap() >= 1);
                assert_eq!(headers["idempotency-key"], attempts[0].1["idempotency-key"]);
            }
        }
    }
    let keys: std::collections::HashSet<_> = calls.iter().map(|call| &call.1["idempotency-key"]).collect();
    assert_eq!(keys.len(), 6, "an effect key was used for two calls");
}
