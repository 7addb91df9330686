//! The shop page: something to buy, its steps live, a crash and a replay.

mod assets;
mod books;
mod crash;
mod html;
mod problems;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use workflow::Runner;

use crate::shop::{Shop, ShopStore};
use crate::steps::checkout;

/// Whose orders those of the page are.
const TENANT: &str = "page";

pub(super) fn routes<S: ShopStore>(
    runner: &Runner<S, Shop>,
    ledger: Option<PathBuf>,
    crash_button: bool,
) -> Router {
    let page = Arc::new(html::page(&checkout::<S::Conn>(), crash_button).into_string());
    let books = books::Books { store: runner.store().clone(), ledger };
    let routes = Router::new()
        .route("/", get(move || async move { html::document(&page) }))
        .route("/shop.css", get(assets::style))
        .route("/shop.js", get(assets::script))
        .route("/icon.svg", get(assets::icon))
        .route("/problems/{name}", get(problems::explained))
        .route("/books/{order_id}", get(books::of_order::<S>).with_state(books));
    match crash_button {
        true => routes.route(crash::PATH, post(crash::now)),
        false => routes,
    }
}
