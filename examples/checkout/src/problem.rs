//! Refusals, as `application/problem+json`.

use serde::Serialize;
use workflow::Response;

/// What the `type` of every problem begins with.
const TYPES: &str = "https://checkout.example/problems/";

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
}

/// There is not enough in stock.
pub(crate) fn out_of_stock(sku: &str, qty: i64) -> Response {
    problem(409, "out-of-stock", "Out of stock", format!("There are not {qty} of {sku:?} in stock."))
}

/// The tenant has an order of this id under another key.
pub(crate) fn order_exists(order_id: &str) -> Response {
    problem(409, "order-exists", "Order exists", format!("There is an order {order_id:?} under another key."))
}

/// The gateway declined the payment.
pub(crate) fn declined(reason: &str) -> Response {
    problem(402, "declined", "Payment declined", format!("The payment was declined: {reason}"))
}

/// Somebody cancelled the checkout.
pub(crate) fn cancelled() -> Response {
    problem(
        409,
        "cancelled",
        "Checkout cancelled",
        "The checkout was cancelled before the order was placed.".into(),
    )
}

fn problem(status: u16, kind: &str, title: &str, detail: String) -> Response {
    let problem = Problem { r#type: format!("{TYPES}{kind}"), title, status, detail };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    Response::with_body(status, "application/problem+json", body)
}
