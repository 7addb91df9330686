//! The stock: what is there, and what is promised to orders.

use crate::cart::Item;
use crate::sql::{Sql, args};

const AVAILABLE: &str = "SELECT stocked - reserved FROM medusa_variants WHERE id = $1";
const RESERVE: &str = "
    UPDATE medusa_variants SET reserved = reserved + $2 WHERE id = $1 AND stocked - reserved >= $2";

/// How many of a variant can still be sold; `None` if there is no such variant.
pub(crate) async fn available<C: Sql>(conn: &mut C, variant_id: &str) -> sqlx::Result<Option<i64>> {
    Ok(conn.row::<(i64,)>(AVAILABLE, args![variant_id]).await?.map(|(left,)| left))
}

/// Promises all items; the first of which there is not enough, if there is one. In the order of the variants, so that
/// two carts with the same ones wait for each other instead of locking each other out.
pub(crate) async fn reserve<'i, C: Sql>(
    conn: &mut C,
    items: &'i [Item],
) -> sqlx::Result<Result<(), &'i Item>> {
    let mut items: Vec<_> = items.iter().collect();
    items.sort_by(|a, b| a.variant_id.cmp(&b.variant_id));
    for item in items {
        if conn.execute(RESERVE, args![&item.variant_id, item.quantity]).await? != 1 {
            return Ok(Err(item));
        }
    }
    Ok(Ok(()))
}
