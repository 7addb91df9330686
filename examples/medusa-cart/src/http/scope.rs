//! Whose key it is. A guest has no name: there is no `Authorization` to go by.
//!
//! The scope is the cart. Whoever knows a cart's id may read and change the cart anyway, so a key that is guarded by it
//! tells nobody anything new, and the same key at two carts is two keys.

use axum::http::request::Parts;

use crate::refusal::Refusal;

/// Of a cart that is not there yet: everybody's. What a stranger could read who guesses a UUID is an empty cart.
pub(crate) fn of_everybody(_: &Parts) -> Result<String, Refusal> {
    Ok(workflow_axum::EVERYBODY.to_owned())
}

/// The cart of the path: `/store/carts/{cart_id}/…`.
pub(crate) fn of_cart(request: &Parts) -> Result<String, Refusal> {
    match request.uri.path().split('/').nth(3) {
        Some(cart_id) if !cart_id.is_empty() => Ok(cart_id.to_owned()),
        _ => Err(Refusal::invalid_data("There is no cart in the path")),
    }
}
