//! What a problem's `type` leads to.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::html::framed;
use crate::problem;

/// `GET /problems/{name}`.
pub(super) async fn explained(Path(name): Path<String>) -> Response {
    let Some((title, what_to_do)) = problem::explained(&name) else {
        return problem::response(404, "not-found", "There is no problem of this name.");
    };
    let text = what_to_do.unwrap_or(
        "A problem of the header Idempotency-Key. Its detail says what happened; docs/http.md has a section under this \
         name that says what to do.",
    );
    framed(title, &html! { main { h1 { (title) } p { (text) } p { a href="/" { "To the shop" } } } })
        .into_response()
}
