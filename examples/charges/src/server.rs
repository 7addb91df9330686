//! The routes: a plain handler behind the layer, and what can be looked at.

use std::time::Duration;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use serde_json::{Value, json};
use uuid::Uuid;
use workflow::{BuildError, Runner};
use workflow_axum::{EffectKey, IdempotencyLayer, Live, Settings};
use workflow_sqlite::Sqlite;

use crate::account::Account;
use crate::book::Book;
use crate::charge::Charge;
use crate::order::Order;
use crate::refusal::Refusal;

/// How long a duplicate waits for the first request. Stripe's clients read no `Retry-After`: after three `409`s in 2
/// to 3.5 seconds they tell their caller that the charge has failed. They wait 80 seconds for an answer.
const WAIT: Duration = Duration::from_secs(30);

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// How it is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long a dead process keeps a key.
    pub(crate) lease: Duration,
    /// How long a charge takes to be answered after it was made.
    pub(crate) delay: Duration,
}

#[derive(Clone)]
struct Bank {
    book: Book,
    delay: Duration,
}

/// All routes.
pub(crate) fn router(store: Sqlite, book: Book, pace: Pace) -> Result<Router, BuildError> {
    let idempotency = layer(store, pace.lease)?;
    Ok(Router::new()
        .route("/v1/charges", post(charge).layer(idempotency))
        .route("/v1/charges/{id}", get(retrieve))
        .route("/_test/count", get(count))
        .fallback(async || Refusal::missing("There is no such route."))
        .layer(middleware::map_response(identified))
        .with_state(Bank { book, delay: pace.delay }))
}

/// Whose key it is says the secret key; what errors look like, stripe.
fn layer(store: Sqlite, lease: Duration) -> Result<IdempotencyLayer<Sqlite>, BuildError> {
    let runner = Runner::builder(store, Live::default()).lease(lease);
    let scope = |request: &Parts| Account::of(request).map(|account| account.0);
    let shape = |problem| Refusal::of(problem).into_response();
    let settings = Settings::default().wait(WAIT).shape(shape);
    Ok(IdempotencyLayer::over(runner, scope)?.with(settings))
}

/// It may be called twice for one request, if the process died in the first call. What it does, it does under the
/// effect key: that is the same.
async fn charge(
    State(bank): State<Bank>,
    account: Account,
    Extension(effect_key): Extension<EffectKey>,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Json<Charge>, Refusal> {
    let Form(form) = form.map_err(|error| Refusal::unreadable(error.body_text()))?;
    let order = Order::read(form)?;
    if order.is_declined() {
        return Err(Refusal::declined());
    }
    let charge = bank.book.charge(&account, effect_key, &order).await?;
    tokio::time::sleep(bank.delay).await;
    Ok(Json(charge))
}

async fn retrieve(
    State(bank): State<Bank>,
    account: Account,
    Path(id): Path<String>,
) -> Result<Json<Charge>, Refusal> {
    let found = bank.book.find(&account, &id).await?;
    found.map(Json).ok_or_else(|| Refusal::missing("There is no such charge."))
}

async fn count(State(bank): State<Bank>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "charges": bank.book.count().await? })))
}

/// Every answer has a name of its own, a replay too: by it support finds the request.
async fn identified(mut response: Response) -> Response {
    let id = format!("req_{}", Uuid::new_v4().simple());
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
