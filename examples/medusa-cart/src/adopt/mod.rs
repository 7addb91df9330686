//! Adoption: the keys of a Medusa v1 are taken over where they stand, and the unfinished ones are finished.
//!
//! Medusa's table is only read. A key that was taken over is here, and is left as it is when the adoption runs again.

mod row;
mod summary;

use std::time::Duration;

use workflow::{Error, Key, Origin, Response, Runner, STARTED, StoreError};

use crate::app::App;
use crate::cart::{self, Cart};
use crate::http::{HOOK_PATH, hook_origin, hook_scope};
use crate::id::fresh;
use crate::payment;
use crate::payments::Verdict;
use crate::point::{Charge, Complete, PaymentAuthorized, TaxLinesCreated};
use crate::sql::Sql;
use crate::steps::{charge, complete_cart, holder};
use crate::store::ShopStore;
use row::Row;
pub use summary::{Left, Summary};

/// The route of a completion, as the router knows it: with the places of its parameters.
const ROUTE: &[u8] = b"/store/carts/{}/complete";

/// Why the adoption stopped. Run again, it goes on where it stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// Medusa's table cannot be read.
    #[error("the table idempotency_key cannot be read: is this the database of a Medusa v1?")]
    Table(#[source] sqlx::Error),
    /// The shop's tables.
    #[error("the shop's tables cannot be used")]
    Shop(#[from] sqlx::Error),
    /// The store.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// A key could not be planted.
    #[error("a key could not be taken over")]
    Run(#[from] Error),
}

/// What a key had reached.
enum Stand {
    Started,
    TaxLines(TaxLinesCreated),
    Authorized(PaymentAuthorized),
    Finished(Response),
}

/// Takes over every key of a cart's completion, and finishes the unfinished ones.
///
/// # Errors
/// [`AdoptError`]. A key that cannot be taken over does not stop the others: it is in the summary.
pub async fn adopt<S: ShopStore>(runner: &Runner<S, App>) -> Result<Summary, AdoptError> {
    let (mut summary, mut after) = (Summary::default(), String::new());
    loop {
        let mut reader = runner.store().reader().await?;
        let page = row::page(&mut *reader, &after).await.map_err(AdoptError::Table)?;
        drop(reader);
        let Some(last) = page.last() else { return Ok(summary) };
        after.clone_from(&last.key);
        for row in page {
            adopt_one(runner, row, &mut summary).await?;
        }
    }
}

async fn adopt_one<S: ShopStore>(
    runner: &Runner<S, App>,
    row: Row,
    summary: &mut Summary,
) -> Result<(), AdoptError> {
    let Some((key, cart_id, origin)) = asked(&row) else {
        summary.others += 1;
        return Ok(());
    };
    if is_here(runner, &key, &row).await? {
        summary.there += 1;
        finish(runner, row.key, key, summary).await;
        return Ok(());
    }
    let stand = match stand(runner, &row, &key, &cart_id).await? {
        Ok(stand) => stand,
        Err(left) => {
            summary.left.push((row.key, left));
            return Ok(());
        }
    };
    let is_finished = matches!(stand, Stand::Finished(_));
    let is_new = planted(runner, &key, &cart_id, &origin, stand).await?;
    if is_finished && is_new {
        summary.replayable += 1;
    } else {
        finish(runner, row.key, key, summary).await;
    }
    Ok(())
}

/// Whether the key was taken over before. One that stands at its start, and did not there, was not: an adoption was
/// killed while it planted it.
async fn is_here<S: ShopStore>(runner: &Runner<S, App>, key: &Key, row: &Row) -> Result<bool, Error> {
    let found = runner.status(key).await?;
    Ok(found.is_some_and(|found| found.recovery_point != STARTED || row.recovery_point == STARTED))
}

/// Its key here, its cart, and the request by which its client asks again; `None` if it is no completion.
fn asked(row: &Row) -> Option<(Key, String, Origin)> {
    let cart_id = row.cart_id()?;
    let path = row.path.as_deref()?;
    let (scope, origin) = if path == HOOK_PATH {
        (hook_scope().to_owned(), hook_origin())
    } else if path.ends_with("/complete") {
        let path = Some(format!("/store/carts/{cart_id}/complete"));
        (cart_id.clone(), Origin { method: Some("POST".into()), path, fingerprint: ROUTE.to_vec() })
    } else {
        return None;
    };
    Some((Key::new(scope, &row.key).ok()?, cart_id, origin))
}

/// Where it stands there, or why it is left alone.
async fn stand<S: ShopStore>(
    runner: &Runner<S, App>,
    row: &Row,
    key: &Key,
    cart_id: &str,
) -> Result<Result<Stand, Left>, AdoptError> {
    let point = row.recovery_point.as_str();
    if point == "finished" {
        return Ok(row.response().map(Stand::Finished).ok_or(Left::NoResponse));
    }
    if !["started", "tax_lines_created", "payment_authorized"].contains(&point) {
        return Ok(Err(Left::UnknownPoint(point.to_owned())));
    }
    let store = runner.store();
    let mut tx = store.begin().await?;
    let stood = match cart::find(&mut *tx, cart_id).await? {
        None => Err(Left::NoCart),
        Some(cart) => stand_of(&mut *tx, point, &cart).await?,
    };
    // Before the key is planted, so that no other one completes its cart in between.
    if !matches!(stood, Ok(Stand::Started) | Err(_)) {
        cart::hold(&mut *tx, cart_id, &holder(key)).await?;
    }
    store.commit(tx).await?;
    Ok(stood)
}

async fn stand_of<C: Sql>(conn: &mut C, point: &str, cart: &Cart) -> sqlx::Result<Result<Stand, Left>> {
    Ok(match point {
        "started" => Ok(Stand::Started),
        "tax_lines_created" => match charge(cart) {
            Ok(charge) => Ok(Stand::TaxLines(TaxLinesCreated { payment_id: fresh("pay"), charge })),
            Err(_) => Err(Left::NotPayable),
        },
        _ => match payment::open(conn, &cart.id).await? {
            Some(payment) => Ok(authorized(payment.id, Some(payment.charge))),
            None if cart.total() == 0 => Ok(authorized(fresh("pay"), None)),
            None => Err(Left::NoPayment),
        },
    })
}

fn authorized(payment_id: String, charge: Option<Charge>) -> Stand {
    Stand::Authorized(PaymentAuthorized { payment_id, charge, verdict: Verdict::Authorized })
}

/// Plants the key where it stands. Whether it is new here.
async fn planted<S: ShopStore>(
    runner: &Runner<S, App>,
    key: &Key,
    cart_id: &str,
    origin: &Origin,
    stand: Stand,
) -> Result<bool, Error> {
    let call = runner.call(complete_cart::<S::Conn>, key.clone(), Complete::cart(cart_id));
    let adopt = call.origin(origin.clone()).adopt();
    let adopt = match stand {
        Stand::Started => adopt,
        Stand::TaxLines(reached) => adopt.reached(reached),
        Stand::Authorized(reached) => {
            let (payment_id, charge) = (reached.payment_id.clone(), reached.charge.clone());
            adopt.reached(TaxLinesCreated { payment_id, charge }).reached(reached)
        }
        Stand::Finished(response) => adopt.answered(response),
    };
    adopt.plant().await
}

/// Finishes a key, which may have to wait for the lease of an adoption that was killed.
async fn finish<S: ShopStore>(runner: &Runner<S, App>, name: String, key: Key, summary: &mut Summary) {
    loop {
        match runner.resume(key.clone()).await {
            Ok(answered) if answered.replayed() => return,
            Ok(_) => {
                summary.finished += 1;
                return;
            }
            Err(Error::InProgress { retry_after, .. }) if retry_after < Duration::from_secs(60) => {
                tokio::time::sleep(retry_after).await;
            }
            Err(error) => {
                summary.left.push((name, Left::Failed(error.to_string())));
                return;
            }
        }
    }
}
