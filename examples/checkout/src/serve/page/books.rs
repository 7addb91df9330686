//! What the shop's table and the gateway's ledger say of an order: two witnesses that know nothing of each other.

use std::path::PathBuf;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::TENANT;
use crate::failure::Failure;
use crate::figures::dollars;
use crate::ledger::{Line, Outcome, lines};
use crate::problem;
use crate::shop::{OrderRow, ShopSql, ShopStore};

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Books<S> {
    pub(super) store: S,
    /// The ledger of the built-in gateway; another gateway does not show its own.
    pub(super) ledger: Option<PathBuf>,
}

/// `GET /books/{order_id}`: a part of the page.
pub(super) async fn of_order<S: ShopStore>(
    State(books): State<Books<S>>,
    Path(order_id): Path<String>,
) -> Response {
    match books.read(&order_id).await {
        Ok((order, lines)) => shown(order.as_ref(), lines.as_deref()).into_response(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the books cannot be read");
            problem::response(StatusCode::SERVICE_UNAVAILABLE.as_u16(), "unavailable", "Ask again.")
        }
    }
}

impl<S: ShopStore> Books<S> {
    async fn read(&self, order_id: &str) -> Result<(Option<OrderRow>, Option<Vec<Line>>), Failure> {
        let order = self.store.reader().await?.order(TENANT, order_id).await?;
        let Some(ledger) = self.ledger.clone() else { return Ok((order, None)) };
        let wanted = order_id.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let of_order = |line: &Result<Line, _>| line.as_ref().is_ok_and(|line| line.order_id == wanted);
            Ok::<_, std::io::Error>(lines(&ledger)?.filter(of_order).flatten().collect())
        });
        let lines = read.await.map_err(std::io::Error::other)??;
        Ok((order, Some(lines)))
    }
}

fn shown(order: Option<&OrderRow>, lines: Option<&[Line]>) -> Markup {
    html! {
        dl {
            dt { "Order" }
            dd id="book-order" {
                @match order {
                    None => "none",
                    Some(OrderRow { charge_id: None, .. }) => "reserved, not paid",
                    Some(OrderRow { charge_id: Some(charge), .. }) => { "placed, paid by " code { (charge) } },
                }
            }
            @if let Some(lines) = lines {
                dt { "Charges" }
                dd id="book-charges" { (charges(lines)) }
            }
        }
        @if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            table {
                caption { "The gateway’s ledger" }
                thead { tr { th scope="col" { "Line" } th scope="col" { "Outcome" } th scope="col" { "Amount" }
                    th scope="col" { "Attempt" } th scope="col" { "By" } } }
                tbody {
                    @for line in lines {
                        tr {
                            td { (line.seq) }
                            td { (outcome(line.outcome)) }
                            td { (dollars(line.amount)) " " (line.currency) }
                            td { @if let Some(attempt) = line.attempt { (attempt) } }
                            td { @if let Some(node) = &line.node { (node) } }
                        }
                    }
                }
            }
        }
    }
}

fn charges(lines: &[Line]) -> String {
    let of = |wanted| lines.iter().filter(|line| line.outcome == wanted).count();
    let (captured, asked) = (of(Outcome::Captured), lines.len());
    match (captured, asked) {
        (_, 0) => "none yet".to_owned(),
        (captured, 1) => format!("{captured}, asked for once"),
        (captured, asked) => format!("{captured}, asked for {asked} times"),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Captured => "captured",
        Outcome::Replayed => "replayed",
        Outcome::Declined => "declined",
        Outcome::Refunded => "refunded",
    }
}
