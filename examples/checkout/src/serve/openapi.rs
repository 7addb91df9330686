//! The document that describes the routes, made from the types that they take and give.

#![expect(dead_code, reason = "the functions here carry the description of a route, and are never called")]

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::health::Health;
use crate::order::Order;
use crate::problem::Problem;
use crate::steps::Receipt;

/// `GET /openapi.json`.
pub(super) async fn document() -> Json<Document> {
    Json(Api::openapi())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "checkout",
        description = "A shop whose one workflow never charges twice and never loses a paid order."
    ),
    paths(place, standing, alive, ready, metrics, openapi),
    components(schemas(Order, Receipt, Problem, Standing, Health)),
    modifiers(&Bearer)
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        if let Some(components) = &mut document.components {
            let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
            components.add_security_scheme("tenant", bearer);
        }
    }
}

/// Places an order: once for each key.
///
/// The tenant and `Idempotency-Key` name the key. A request that is sent again with the same key and the same body
/// gets the same answer, byte for byte, and nothing runs.
#[utoipa::path(
    post,
    path = "/checkouts",
    security(("tenant" = [])),
    params(
        ("Idempotency-Key" = String, Header, description = "A fresh UUID for each new request: an RFC 9651 string \
            in quotes, or bare.", min_length = 1, max_length = 255, pattern = "^[!#-\\[\\]-~]+$"),
        ("Prefer" = Option<String>, Header, description = "wait=N: a duplicate waits up to N seconds for the \
            running one. respond-async: 202 at once.", example = "wait=5"),
    ),
    request_body(content = Order, content_type = "application/json"),
    responses(
        (status = 201, description = "Placed, and paid for.", body = Receipt, content_type = "application/json",
            headers(
                ("Idempotency-Key" = String, description = "As it was sent."),
                ("Idempotent-Replayed" = String, description = "true: the response was stored before."),
            )),
        (status = 202, description = "On its way: Prefer: respond-async.",
            headers(("Location" = String, description = "Where it tells how far it is."))),
        (status = 400, description = "The key or the body cannot be read; the key is untouched.",
            body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No tenant.", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "The card was declined. Stored.",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "In progress, with Retry-After; parked; or, stored: out of stock, order exists, \
            cancelled.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.",
            body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not application/json.",
            body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The body breaks a rule, or the key was used for a different request.",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not finished yet: ask again with the same key after Retry-After.",
            body = Problem, content_type = "application/problem+json"),
    )
)]
fn place() {}

/// Tells how far a key is.
#[utoipa::path(
    get,
    path = "/checkouts/status",
    security(("tenant" = [])),
    params(("Idempotency-Key" = String, Header, description = "The key.", min_length = 1, max_length = 255,
        pattern = "^[!#-\\[\\]-~]+$")),
    responses(
        (status = 200, description = "Where it stands.", body = Standing, content_type = "application/json"),
        (status = 400, description = "The key cannot be read.",
            body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No tenant.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such key.",
            body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database is away.",
            body = Problem, content_type = "application/problem+json"),
    )
)]
fn standing() {}

/// Where a key stands, as `workflow_axum::Standing` tells it.
#[derive(ToSchema)]
struct Standing {
    /// `running`, `waiting`, `undoing`, `needs_attention` or `finished`.
    #[schema(pattern = "^(running|waiting|undoing|needs_attention|finished)$")]
    status: String,
    /// The recovery point that it has reached.
    recovery_point: String,
    /// How many steps are done.
    #[schema(minimum = 0)]
    steps_done: usize,
    /// How many there are.
    #[schema(minimum = 1)]
    steps_total: usize,
    /// The attempts of the next step.
    attempts: i32,
    /// The fencing token: how often the key was claimed.
    fence: i64,
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", responses(
    (status = 200, description = "It does.", body = Health, content_type = "application/json"),
))]
fn alive() {}

/// Whether the shop is ready.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "It is.", body = Health, content_type = "application/json"),
    (status = 503, description = "It is not, and why.", content(
        (Health = "application/json"), (Problem = "application/problem+json"))),
))]
fn ready() {}

/// Metrics, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "All metrics.", body = String, content_type = "text/plain"),
))]
fn metrics() {}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses(
    (status = 200, description = "It.", body = serde_json::Value, content_type = "application/json"),
))]
fn openapi() {}
