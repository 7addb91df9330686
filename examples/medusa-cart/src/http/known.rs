//! A cart that is not there is told before any key is touched.

use axum::extract::{RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::Site;
use crate::cart;
use crate::refusal::Refusal;
use crate::store::ShopStore;

/// Lets a request pass whose cart is there. No cart ever goes, so a replay passes too.
pub(crate) async fn cart<S: ShopStore>(
    State(site): State<Site<S>>,
    path: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let cart_id = path.iter().find(|(name, _)| *name == "cart_id").map_or("", |(_, id)| id);
    // Given back before the request goes on: it needs connections of its own.
    let exists = cart::exists(&mut *site.store.reader().await?, cart_id).await?;
    match exists {
        true => Ok(next.run(request).await),
        false => Err(Refusal::not_found("Cart", cart_id)),
    }
}
