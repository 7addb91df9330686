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
use tokio::sync::Semaphore;

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
    /// The first call for each order stays on its way until it is let through, and arrives then.
    Lingers,
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
    /// The charge that was given back under each key.
    refunds: Mutex<HashMap<String, String>>,
    lingering: Semaphore,
    through: Semaphore,
    /// How many calls have arrived late.
    late: Semaphore,
}

impl Stub {
    pub(crate) async fn start(trouble: Trouble) -> Self {
        Self::start_at("127.0.0.1:0", trouble).await
    }

    pub(crate) async fn start_at(listen: &str, trouble: Trouble) -> Self {
        let [lingering, through, late] = [Semaphore::new(0), Semaphore::new(0), Semaphore::new(0)];
        let (calls, ledger, refunds) = (Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { trouble, calls, ledger, refunds, lingering, through, late });
        let routes = Router::new().route("/charges", post(charge)).route("/refunds", post(refund));
        let routes = routes.with_state(shared.clone());
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

    /// The charges that were given back, each once.
    pub(crate) fn refunds(&self) -> HashSet<String> {
        let refunds = self.shared.refunds.lock().unwrap();
        let charges: HashSet<_> = refunds.values().cloned().collect();
        assert_eq!(charges.len(), refunds.len(), "a charge was given back twice: {refunds:?}");
        charges
    }

    /// Returns when a call is on its way.
    pub(crate) async fn lingering(&self) {
        self.shared.lingering.acquire().await.unwrap().forget();
    }

    /// Lets a call that is on its way arrive, and returns when it has.
    pub(crate) async fn let_through(&self) {
        self.shared.through.add_permits(1);
        self.shared.late.acquire().await.unwrap().forget();
    }
}

async fn refund(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let charge_id = body["charge_id"].as_str().unwrap().to_owned();
    let known = shared.ledger.lock().unwrap().values().any(|(_, charge)| *charge == charge_id);
    assert!(known, "{charge_id} was never charged");
    let refund_id = format!("re_{charge_id}");
    shared.refunds.lock().unwrap().insert(key, charge_id);
    answer(201, json!({ "refund_id": refund_id }))
}

/// In a task of its own: a call on its way arrives though nobody waits for it any more.
async fn charge(state: State<Arc<Shared>>, headers: HeaderMap, body: Json<Value>) -> Response {
    match tokio::spawn(arrived(state, headers, body)).await {
        Ok(answer) => answer,
        Err(hung_up) => std::panic::resume_unwind(hung_up.into_panic()),
    }
}

async fn arrived(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
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
    let lingers = shared.trouble == Trouble::Lingers && first;
    if lingers {
        shared.lingering.add_permits(1);
        shared.through.acquire().await.unwrap().forget();
    }
    let charge_id = {
        let mut ledger = shared.ledger.lock().unwrap();
        let charge_id = format!("ch_{}", ledger.len());
        ledger.entry(effect_key).or_insert((order_id, charge_id)).1.clone()
    };
    shared.late.add_permits(usize::from(lingers));
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
