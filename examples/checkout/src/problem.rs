//! Refusals, as `application/problem+json`. Their `type` leads to the page of `serve` that explains it.

use serde::Serialize;
use utoipa::ToSchema;
use workflow::Response;
use workflow_axum::Kind;

/// What the `type` of every problem begins with.
pub(crate) const TYPES: &str = "/problems/";

/// The shop's own kinds of problem: name, title, and what to do.
const OWN: [(&str, &str, &str); 7] = [
    (
        "out-of-stock",
        "Out of stock",
        "There is not enough of the article. No money has moved. Order less, under a new key.",
    ),
    (
        "order-exists",
        "Order exists",
        "There is an order with this order_id under another key. No money has moved. Choose another order_id.",
    ),
    (
        "declined",
        "Payment declined",
        "The card was declined, and the stock was given back. Pay with another card.",
    ),
    (
        "cancelled",
        "Checkout cancelled",
        "The checkout was cancelled before the order was placed. What had been paid was given back.",
    ),
    (
        "unauthorized",
        "Unauthorized",
        "Send the header Authorization: Bearer TENANT. The tenant is whose key it is.",
    ),
    ("method", "Method not allowed", "This address knows other methods: see the header Allow."),
    ("not-found", "Not found", "There is nothing at this address."),
];

/// The body of a problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// The address of the page that explains it.
    r#type: String,
    /// The same for every occurrence.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What happened this time.
    detail: &'a str,
}

/// The title of a kind of problem, and what to do where the shop itself has it.
pub(crate) fn explained(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    let own = OWN.iter().find(|own| own.0 == name).map(|own| (own.1, Some(own.2)));
    own.or_else(|| Kind::ALL.into_iter().find(|kind| kind.name() == name).map(|kind| (kind.title(), None)))
}

/// There is not enough in stock.
pub(crate) fn out_of_stock(sku: &str, qty: i64) -> Response {
    stored(409, "out-of-stock", &format!("There are not {qty} of {sku:?} in stock."))
}

/// The tenant has an order of this id under another key.
pub(crate) fn order_exists(order_id: &str) -> Response {
    stored(409, "order-exists", &format!("There is an order {order_id:?} under another key."))
}

/// The gateway declined the payment.
pub(crate) fn declined(reason: &str) -> Response {
    stored(402, "declined", &format!("The payment was declined: {reason}"))
}

/// Somebody cancelled the checkout.
pub(crate) fn cancelled() -> Response {
    stored(409, "cancelled", "The checkout was cancelled before the order was placed.")
}

/// A problem that is a key's final answer.
fn stored(status: u16, kind: &str, detail: &str) -> Response {
    Response::with_body(status, CONTENT_TYPE, body(status, kind, detail))
}

/// A problem that no key keeps.
pub(crate) fn response(status: u16, kind: &str, detail: &str) -> axum::response::Response {
    use axum::response::IntoResponse;
    let status_code = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    (status_code, [("content-type", CONTENT_TYPE)], body(status, kind, detail)).into_response()
}

const CONTENT_TYPE: &str = "application/problem+json";

fn body(status: u16, kind: &str, detail: &str) -> Vec<u8> {
    let title = explained(kind).map_or(kind, |(title, _)| title);
    let problem = Problem { r#type: format!("{TYPES}{kind}"), title, status, detail };
    serde_json::to_vec(&problem).unwrap_or_default()
}
