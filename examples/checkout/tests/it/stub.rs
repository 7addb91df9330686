//! A payment gateway of somebody else, over HTTP, with a ledger of its own by `Idempotency-Key`, and with trouble.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    Never,
    /// The first call for each order charges, and is answered 500, with the card in the body.
    Fails,
    /// The first call for each order charges, and is answered with the card instead of the charge's id.
    Mumbles,
    /// The first call for each order charges, and is never answered.
    Hangs,
    /// The first call for each order charges, and its connection is dropped.
    HangsUp,
    /// The first call for each order is one too many: 429 with so many seconds as `Retry-After`.
    IsBusy(u64),
    /// Every card is declined.
    Declines,
    /// Every key was used for another body: 400.
    Refuses,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) order_id: String,
    pub(crate) effect_key: String,
    pub(crate) attempt: i64,
}

/// The gateway.
#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    trouble: Trouble,
    calls: Mutex<Vec<Call>>,
    /// The order and the charge of each key.
    ledger: Mutex<HashMap<String, (String, String)>>,
}

impl Stub {
    pub(crate) async fn start(trouble: Trouble) -> Self {
        Self::start_at("127.0.0.1:0", trouble).await
    }

    pub(crate) async fn start_at(listen: &str, trouble: Trouble) -> Self {
        let shared =
            Arc::new(Shared { trouble, calls: Mutex::default(), ledger: Mutex::new(HashMap::new()) });
        let routes = Router::new().route("/charges", post(charge)).with_state(shared.clone());
        let listener = TcpListener::bind(listen).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, shared }
    }

    /// All calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The orders that were charged, with their charges. None was charged twice.
    pub(crate) fn charges(&self) -> HashMap<String, String> {
        let ledger = self.shared.ledger.lock().unwrap();
        let orders: HashSet<_> = ledger.values().map(|(order, _)| order).collect();
        assert_eq!(orders.len(), ledger.len(), "an order was charged twice: {ledger:?}");
        ledger.values().cloned().collect()
    }
}

async fn charge(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (effect_key, order_id) =
        (text("idempotency-key"), body["order_id"].as_str().unwrap_or_default().to_owned());
    let attempt = text("x-attempt").parse().unwrap();
    let first = {
        let mut calls = shared.calls.lock().unwrap();
        let first = calls.iter().all(|call| call.order_id != order_id);
        calls.push(Call { order_id: order_id.clone(), effect_key: effect_key.clone(), attempt });
        first
    };
    match shared.trouble {
        Trouble::Declines => return answer(402, json!({ "error": "do not honour" })),
        Trouble::Refuses => return answer(400, json!({ "error": "this key was used for another request" })),
        Trouble::IsBusy(seconds) if first => {
            return ([("retry-after", seconds.to_string())], answer(429, json!({}))).into_response();
        }
        _ => {}
    }
    let charge_id = {
        let mut ledger = shared.ledger.lock().unwrap();
        let charge_id = format!("ch_{}", ledger.len());
        ledger.entry(effect_key).or_insert((order_id, charge_id)).1.clone()
    };
    match shared.trouble {
        Trouble::Fails if first => answer(500, json!({ "error": body["card"] })),
        Trouble::Mumbles if first => {
            let card: u64 = body["card"].as_str().unwrap().parse().unwrap();
            answer(201, json!({ "charge_id": card }))
        }
        Trouble::Hangs if first => pending().await,
        // The connection goes with its task. Nothing is printed: no panic hook runs.
        Trouble::HangsUp if first => std::panic::resume_unwind(Box::new("hangs up")),
        _ => answer(201, json!({ "charge_id": charge_id })),
    }
}

fn answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}
