//! Medusa's store routes.

mod body;
mod carts;
mod hook;
mod known;
mod orders;
mod scope;
mod shape;

pub(crate) use hook::{PATH as HOOK_PATH, origin as hook_origin, scope as hook_scope};

use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http::StatusCode};
use workflow::{BuildError, Runner};
use workflow_axum::{Idempotency, IdempotencyLayer, Settings, run};

use crate::app::App;
use crate::not_yet::NotYet;
use crate::refusal::Refusal;
use crate::steps::complete_cart;
use crate::store::ShopStore;

/// What the handlers have.
pub(crate) struct Site<S: ShopStore> {
    pub(crate) store: S,
    pub(crate) idempotency: Idempotency<S, App>,
}

impl<S: ShopStore> Clone for Site<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), idempotency: self.idempotency.clone() }
    }
}

impl<S: ShopStore> FromRef<Site<S>> for Idempotency<S, App> {
    fn from_ref(site: &Site<S>) -> Self {
        site.idempotency.clone()
    }
}

/// All routes, over this runner.
///
/// # Errors
/// [`BuildError`] if the runner of the plain handlers cannot be built.
pub fn router<S: ShopStore>(runner: Runner<S, App>) -> Result<Router, BuildError> {
    let store = runner.store().clone();
    let settings = || Settings::default().shape(shape::of);
    let idempotency = Idempotency::new(runner, scope::of_cart).with(settings());
    let site = Site { store: store.clone(), idempotency };
    let create = IdempotencyLayer::new(store.clone(), scope::of_everybody)?.with(settings());
    let change = IdempotencyLayer::new(store, scope::of_cart)?.with(settings());
    let creating = Router::new()
        .route("/store/carts", post(carts::create::<S>))
        .route_layer(create.key_optional().keeps(keeps));
    let changing = changes::<S>().route_layer(change.key_optional().keeps(keeps));
    let complete = run(complete_cart::<S::Conn>).key_optional().with_path().unstored(not_yet);
    let of_a_cart = changing
        .route("/store/carts/{cart_id}/complete", post(complete))
        .route_layer(from_fn_with_state(site.clone(), known::cart::<S>));
    Ok(creating
        .merge(of_a_cart)
        .route("/store/orders/{order_id}", get(orders::retrieve::<S>))
        .route("/store/orders/cart/{cart_id}", get(orders::retrieve_by_cart::<S>))
        .route(hook::PATH, post(hook::stripe::<S>))
        .route("/_test/count", get(orders::count::<S>))
        .with_state(site))
}

fn changes<S: ShopStore>() -> Router<Site<S>> {
    Router::new()
        .route("/store/carts/{cart_id}", get(carts::retrieve::<S>).post(carts::update::<S>))
        .route("/store/carts/{cart_id}/line-items", post(carts::add_item::<S>))
        .route(
            "/store/carts/{cart_id}/line-items/{item_id}",
            post(carts::set_quantity::<S>).delete(carts::remove_item::<S>),
        )
        .route("/store/carts/{cart_id}/payment-sessions", post(carts::create_sessions::<S>))
        .route("/store/carts/{cart_id}/payment-session", post(carts::select_session::<S>))
        .route(
            "/store/carts/{cart_id}/payment-sessions/{provider_id}",
            post(carts::set_session_data::<S>).delete(carts::remove_session::<S>),
        )
        .route(
            "/store/carts/{cart_id}/payment-sessions/{provider_id}/refresh",
            post(carts::refresh_session::<S>),
        )
        .route("/store/carts/{cart_id}/shipping-methods", post(carts::set_method::<S>))
}

/// What a later request may come to something else of is not stored: a cart that is being completed just now, a variant
/// that is sold out, whatever failed.
fn keeps(status: StatusCode) -> bool {
    status.is_success()
}

/// What is not stored of a completion: a cart that is not ready, two transactions that met.
fn not_yet(error: &(dyn std::error::Error + 'static)) -> Option<Response> {
    NotYet::among(error).or_else(|| Refusal::met_another(error)).map(IntoResponse::into_response)
}

impl From<workflow::Error> for Refusal {
    fn from(error: workflow::Error) -> Self {
        shape::refusal(&workflow_axum::Problem::of(&error))
    }
}
