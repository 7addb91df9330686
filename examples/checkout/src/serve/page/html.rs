//! The page itself. It is the same for everybody: what is drawn anew is drawn by the script.

use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use maud::{DOCTYPE, Markup, html};
use workflow::{STARTED, Workflow};

use super::{TENANT, crash};

/// What is for sale: article, title, price in cents.
const ARTICLES: [(&str, &str, i64); 3] = [
    ("cd-kind-of-blue", "Kind of Blue", 1299),
    ("cd-ok-computer", "OK Computer", 1499),
    ("cd-blue", "Blue", 1177),
];

/// Test cards.
const CARDS: [(&str, &str); 2] =
    [("4242424242424242", "4242 … 4242, accepted"), ("4000000000000002", "4000 … 0002, declined")];

pub(super) fn page<C, A, In>(workflow: &Workflow<C, A, In>, crash_button: bool) -> Markup {
    framed(
        "A checkout that survives",
        &html! {
            header {
                h1 { "A checkout that survives" }
                p { "Buy something. Kill the server in the middle. The order comes through, and the card is charged once." }
            }
            main data-tenant=(TENANT) data-crash=[crash_button.then_some(crash::PATH)] {
                (order_form())
                (progress(workflow, crash_button))
                (answers())
                section aria-labelledby="books-title" {
                    h2 id="books-title" { "What the books say" }
                    div id="books" { p { "Nothing yet." } }
                }
            }
            footer {
                p {
                    "The same for programs: " a href="/openapi.json" { "openapi.json" } ", "
                    a href="/metrics" { "metrics" } ", " a href="/readyz" { "readyz" } "."
                }
            }
            script src="/shop.js" type="module" {}
        },
    )
}

fn order_form() -> Markup {
    html! {
        section aria-labelledby="order-title" {
            h2 id="order-title" { "Order" }
            form id="order" {
                label { "Record"
                    select name="sku" {
                        @for (sku, title, cents) in ARTICLES {
                            option value=(sku) data-cents=(cents) { (title) ", $" (crate::figures::dollars(cents)) }
                        }
                    }
                }
                label { "How many" input name="qty" type="number" min="1" max="20" value="1" required inputmode="numeric"; }
                label { "Card" select name="card" { @for (card, text) in CARDS { option value=(card) { (text) } } } }
                button type="submit" id="buy" { "Buy" }
            }
            noscript { p { "This page needs its script. Without one: POST /checkouts, as openapi.json describes it." } }
        }
    }
}

fn progress<C, A, In>(workflow: &Workflow<C, A, In>, crash_button: bool) -> Markup {
    html! {
        section aria-labelledby="steps-title" {
            h2 id="steps-title" { "Steps" }
            p id="key" { "Each purchase has a key. It is drawn before anything is sent, and goes with every try." }
            ol id="steps" {
                li data-point=(STARTED) { span.step { "the request" } span.point { (STARTED) } }
                @for step in workflow.steps() {
                    li data-point=(step.reaches[0]) {
                        span.step { (step.name) } " "
                        span.kind { @if step.foreign { "foreign" } @else { "atomic" } } " "
                        span.point { (step.reaches[0]) }
                    }
                }
            }
            p id="standing" role="status" aria-live="polite" { "Nothing is under way." }
            div.buttons {
                @if crash_button { button type="button" id="crash" class="danger" { "Crash the server" } }
                @else { p { "Start it with " code { "--crash-button" } " to be able to kill it from here." } }
            }
        }
    }
}

fn answers() -> Markup {
    html! {
        section aria-labelledby="answers-title" {
            h2 id="answers-title" { "Answers" }
            div.scroll tabindex="0" role="region" aria-labelledby="answers-title" {
                table {
                    thead { tr { th scope="col" { "Try" } th scope="col" { "Answer" } th scope="col" { "Replayed" }
                        th scope="col" { "Bytes" } th scope="col" { "SHA-256" } } }
                    tbody id="answers" {}
                }
            }
            p id="same" role="status" aria-live="polite" {}
            pre id="body" hidden {}
            div.buttons { button type="button" id="again" disabled { "Send again" } }
        }
    }
}

/// A whole document around this.
pub(super) fn framed(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/shop.css";
            }
            body { (body) }
        }
    }
}

pub(super) fn document(page: &str) -> ([(HeaderName, &'static str); 2], String) {
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-cache")], page.to_owned())
}
