//! The server: one handler, alone and with the layer, and a workflow of one step that answers the same.

use std::convert::Infallible;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, StatusCode};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::routing::post;
use tokio::net::TcpListener;
use workflow::{Atomic, Response, Runner, Step, Store, Workflow};
use workflow_axum::{Idempotency, IdempotencyLayer, run};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::failure::Failure;
use crate::payload::{ANSWER_BYTES, Request, body};

/// The route of the handler alone.
pub const ALONE: &str = "/alone";
/// The route of the same handler with the layer.
pub const LAYER: &str = "/layer";
/// The route of the workflow.
pub const WORKFLOW: &str = "/workflow";
/// What is said before the address.
pub const LISTENING: &str = "listening on ";

/// Serves the ways on the database of this URL, until the process is killed.
///
/// # Errors
/// [`Failure`].
pub async fn serve(url: &str) -> Result<(), Failure> {
    match url.starts_with("postgres") {
        true => on(Postgres::open(url).await?).await,
        false => on(Sqlite::open(url).await?).await,
    }
}

async fn on<S: Store>(store: S) -> Result<(), Failure> {
    let handler = || post(alone);
    let layer = IdempotencyLayer::new(store.clone(), everybody)?;
    let runner = Runner::builder(store, ()).with(workflow::<S::Conn>).build()?;
    let routes = Router::new()
        .route(ALONE, handler())
        .route(LAYER, handler().layer(layer))
        .route(WORKFLOW, post(run(workflow::<S::Conn>)))
        .with_state(Idempotency::new(runner, everybody));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    anstream::println!("{LISTENING}{}", listener.local_addr()?);
    Ok(axum::serve(listener, routes).await?)
}

fn everybody(_: &Parts) -> Result<String, Infallible> {
    Ok("bench".to_owned())
}

/// Reads a request and answers: all that the workflow's one step does.
async fn alone(request: Bytes) -> Result<Answer, StatusCode> {
    serde_json::from_slice::<Request>(&request).map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = body(ANSWER_BYTES).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok((StatusCode::CREATED, [(CONTENT_TYPE, "application/json")], answer))
}

type Answer = (StatusCode, [(HeaderName, &'static str); 1], Vec<u8>);

fn workflow<C: Send + 'static>() -> Workflow<C, (), Request> {
    Workflow::new("answer").atomic("answer", answer).build()
}

async fn answer<C: Send>(_: Atomic<'_, C, (), Request>, _: Request) -> Step<Response> {
    Ok(Response::with_body(201, "application/json", body(ANSWER_BYTES)?))
}
