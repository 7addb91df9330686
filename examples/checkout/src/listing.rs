//! The business tables, one JSON object a line, a page at a time.

use std::io::Write;

use serde::Serialize;
use uuid::Uuid;

use crate::failure::Failure;
use crate::shop::{ShopSql, ShopStore};

/// How many rows are in memory at once.
const PAGE: i64 = 500;

/// Writes the orders.
///
/// # Errors
/// [`Failure`] if the database or the output fails.
pub async fn orders<S: ShopStore>(store: S, out: &mut impl Write) -> Result<(), Failure> {
    let mut after = (String::new(), String::new());
    loop {
        let page = store.reader().await?.orders((&after.0, &after.1), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.scope.clone(), last.order_id.clone());
        write(&page, out)?;
    }
}

/// Writes the stock.
///
/// # Errors
/// As [`orders`].
pub async fn stock<S: ShopStore>(store: S, out: &mut impl Write) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let page = store.reader().await?.stock(&after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.sku);
        write(&page, out)?;
    }
}

/// Writes the outbox.
///
/// # Errors
/// As [`orders`].
pub async fn outbox<S: ShopStore>(store: S, out: &mut impl Write) -> Result<(), Failure> {
    let mut after = Uuid::nil();
    loop {
        let page = store.reader().await?.jobs(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.message_id;
        write(&page, out)?;
    }
}

fn write<T: Serialize>(page: &[T], out: &mut impl Write) -> Result<(), Failure> {
    for row in page {
        serde_json::to_writer(&mut *out, row).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
