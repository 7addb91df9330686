//! The hook of a payment provider: it tells of a payment that went through, and the cart is completed, in case the
//! customer has closed the page. The event's id is the key.
//!
//! It does not check a signature: all that it does, whoever knows the cart may do anyway.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use workflow::{Key, Origin};

use super::Site;
use super::body::Asked;
use crate::order;
use crate::point::Complete;
use crate::refusal::Refusal;
use crate::steps::complete_cart;
use crate::store::ShopStore;

/// The path, which is the one that Medusa stores with such a key.
pub(crate) const PATH: &str = "/stripe/hooks";

/// The scope of the events: the provider draws their ids.
pub(crate) fn scope() -> &'static str {
    "stripe"
}

/// The events that tell of a payment.
const PAID: [&str; 2] = ["payment_intent.succeeded", "payment_intent.amount_capturable_updated"];

#[derive(Deserialize)]
pub(crate) struct Event {
    id: String,
    r#type: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: Intent,
}

#[derive(Deserialize)]
struct Intent {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// What newer versions of the plugin call the cart.
    resource_id: Option<String>,
    cart_id: Option<String>,
}

/// Completes the cart of the event. What has a final answer is acknowledged, whatever it is: the same event comes to
/// nothing else.
pub(crate) async fn stripe<S: ShopStore>(
    State(site): State<Site<S>>,
    Asked { body: event, .. }: Asked<Event>,
) -> Result<Json<Value>, Refusal> {
    let received = Ok(Json(json!({ "received": true })));
    let Metadata { resource_id, cart_id } = event.data.object.metadata;
    let (true, Some(cart_id)) = (PAID.contains(&&*event.r#type), resource_id.or(cart_id)) else {
        return received;
    };
    if order::of_cart(&mut *site.store.reader().await?, &cart_id).await?.is_some() {
        return received;
    }
    let key = Key::new(scope(), event.id).map_err(|error| Refusal::invalid_data(error.to_string()))?;
    let call = site.idempotency.runner().call(complete_cart::<S::Conn>, key, Complete::cart(cart_id));
    match call.origin(origin()).run().await {
        Ok(_) => received,
        Err(error) => Err(refused(error)),
    }
}

/// Where an event comes in.
pub(crate) fn origin() -> Origin {
    Origin { method: Some("POST".into()), path: Some(PATH.into()), fingerprint: Vec::new() }
}

fn refused(error: workflow::Error) -> Refusal {
    let not_yet = match &error {
        workflow::Error::Step { source, .. } => crate::not_yet::NotYet::among(&**source),
        _ => None,
    };
    not_yet.unwrap_or_else(|| error.into())
}
