//! The routes of a cart.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Site;
use super::body::{Asked, cart as answer};
use crate::cart;
use crate::change::{self, Change, NewItem};
use crate::refusal::Refusal;
use crate::store::ShopStore;

type Answer = Result<Json<Value>, Refusal>;

#[derive(Deserialize)]
pub(crate) struct NewCart {
    #[serde(default)]
    items: Vec<NewItem>,
    #[serde(flatten)]
    details: Map<String, Value>,
}

#[derive(Deserialize)]
pub(crate) struct Quantity {
    quantity: i64,
}

#[derive(Deserialize)]
pub(crate) struct Provider {
    provider_id: String,
}

#[derive(Deserialize)]
pub(crate) struct Data {
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
pub(crate) struct Method {
    option_id: String,
    #[serde(default)]
    data: Value,
}

pub(crate) async fn create<S: ShopStore>(
    State(site): State<Site<S>>,
    Asked { key, body }: Asked<NewCart>,
) -> Answer {
    Ok(answer(change::create(&site.store, key, body.details, body.items).await?))
}

pub(crate) async fn retrieve<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(cart_id): Path<String>,
) -> Answer {
    let found = cart::find(&mut *site.store.reader().await?, &cart_id).await?;
    Ok(answer(found.ok_or_else(|| Refusal::not_found("Cart", &cart_id))?.json()))
}

pub(crate) async fn update<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(cart_id): Path<String>,
    Asked { key, body }: Asked<Map<String, Value>>,
) -> Answer {
    changed(&site, &cart_id, key, Change::Update(body)).await
}

pub(crate) async fn add_item<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(cart_id): Path<String>,
    Asked { key, body }: Asked<NewItem>,
) -> Answer {
    changed(&site, &cart_id, key, Change::AddItem(body)).await
}

pub(crate) async fn set_quantity<S: ShopStore>(
    State(site): State<Site<S>>,
    Path((cart_id, item_id)): Path<(String, String)>,
    Asked { key, body }: Asked<Quantity>,
) -> Answer {
    changed(&site, &cart_id, key, Change::SetQuantity { item_id, quantity: body.quantity }).await
}

pub(crate) async fn remove_item<S: ShopStore>(
    State(site): State<Site<S>>,
    Path((cart_id, item_id)): Path<(String, String)>,
    Asked { key, .. }: Asked<Value>,
) -> Answer {
    changed(&site, &cart_id, key, Change::RemoveItem { item_id }).await
}

pub(crate) async fn create_sessions<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(cart_id): Path<String>,
    Asked { key, .. }: Asked<Value>,
) -> Answer {
    changed(&site, &cart_id, key, Change::CreateSessions).await
}

pub(crate) async fn select_session<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(cart_id): Path<String>,
    Asked { key, body }: Asked<Provider>,
) -> Answer {
    changed(&site, &cart_id, key, Change::SelectSession { provider_id: body.provider_id }).await
}

pub(crate) async fn set_session_data<S: ShopStore>(
    State(site): State<Site<S>>,
    Path((cart_id, provider_id)): Path<(String, String)>,
    Asked { key, body }: Asked<Data>,
) -> Answer {
    changed(&site, &cart_id, key, Change::SetSessionData { provider_id, data: body.data }).await
}

pub(crate) async fn refresh_session<S: ShopStore>(
    State(site): State<Site<S>>,
    Path((cart_id, provider_id)): Path<(String, String)>,
    Asked { key, .. }: Asked<Value>,
) -> Answer {
    changed(&site, &cart_id, key, Change::RefreshSession { provider_id }).await
}

pub(crate) async fn remove_session<S: ShopStore>(
    State(site): State<Site<S>>,
    Path((cart_id, provider_id)): Path<(String, String)>,
    Asked { key, .. }: Asked<Value>,
) -> Answer {
    changed(&site, &cart_id, key, Change::RemoveSession { provider_id }).await
}

pub(crate) async fn set_method<S: ShopStore>(
    State(site): State<Site<S>>,
    Path(cart_id): Path<String>,
    Asked { key, body }: Asked<Method>,
) -> Answer {
    changed(&site, &cart_id, key, Change::SetMethod { option_id: body.option_id, data: body.data }).await
}

async fn changed<S: ShopStore>(site: &Site<S>, cart_id: &str, key: Option<String>, change: Change) -> Answer {
    Ok(answer(change::change(&site.store, cart_id, key, change).await?))
}
