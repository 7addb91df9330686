//! The routes of the orders.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Site;
use crate::order;
use crate::refusal::Refusal;
use crate::store::ShopStore;

type Answer = Result<Json<Value>, Refusal>;

pub(crate) async fn retrieve<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(order_id): Path<String>,
) -> Answer {
    let found = order::find(&mut *site.store.reader().await?, &order_id).await?;
    answer(found, "Order", &order_id)
}

pub(crate) async fn retrieve_by_cart<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(cart_id): Path<String>,
) -> Answer {
    let found = order::of_cart(&mut *site.store.reader().await?, &cart_id).await?;
    answer(found, "Order of the cart", &cart_id)
}

pub(crate) async fn count<S: ShopStore>(State(site): State<Site<S>>) -> Answer {
    Ok(Json(json!({ "orders": order::count(&mut *site.store.reader().await?).await? })))
}

fn answer(found: Option<Value>, what: &str, id: &str) -> Answer {
    match found {
        Some(order) => Ok(Json(json!({ "order": order }))),
        None => Err(Refusal::not_found(what, id)),
    }
}
