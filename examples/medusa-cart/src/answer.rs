//! The final answers of a completion: each is stored, and replayed.

use serde_json::{Value, json};
use workflow::Response;

use crate::cart::{Cart, Item};
use crate::payments::Verdict;
use crate::refusal::Refusal;

/// The order of the cart.
pub(crate) fn order(order: Value) -> Response {
    Response::new(200, json!({ "type": "order", "data": order }))
}

/// The swap of the cart.
pub(crate) fn swap(id: &str, cart_id: &str) -> Response {
    let swap = json!({ "id": id, "object": "swap", "cart_id": cart_id, "payment_status": "confirmed" });
    Response::new(200, json!({ "type": "swap", "data": swap }))
}

/// The customer has to do something about the payment, or it is not decided yet: the next attempt needs a new key.
pub(crate) fn not_paid(cart: &Cart, verdict: &Verdict) -> Response {
    Response::new(200, json!({ "type": "cart", "data": cart.json(), "payment_status": verdict.status() }))
}

/// The provider refuses.
pub(crate) fn declined() -> Response {
    refused(&Refusal::new(422, "payment_authorization_error", "The payment was not authorized"))
}

/// There is not enough of this item any more.
pub(crate) fn out_of_stock(item: &Item) -> Response {
    Response::new(409, json!({ "errors": [Refusal::too_few(409, &item.variant_id)] }))
}

fn refused(refusal: &Refusal) -> Response {
    Response::json(refusal.status(), refusal).unwrap_or_else(|_| Response::empty(refusal.status()))
}
