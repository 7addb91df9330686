//! The shop's SQL: one text for two databases, since `$1` is understood by both.

use std::future::Future;

use chrono::{DateTime, SecondsFormat};
use uuid::Uuid;

use super::row::{JobRow, OrderRow, StockRow, Totals};
use super::schema::{POSTGRES, SQLITE};
use crate::order::Order;

const INSERT_ORDER: &str = "
    INSERT INTO shop_orders (scope, order_id, sku, qty, amount, currency) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (scope, order_id) DO NOTHING";
const TAKE_STOCK: &str =
    "UPDATE shop_stock SET left_over = left_over - $2 WHERE sku = $1 AND left_over >= $2";
const OPEN_STOCK: &str = "
    INSERT INTO shop_stock (sku, opening, left_over) VALUES ($1, $2, $2) ON CONFLICT (sku) DO NOTHING";
const GIVE_BACK: &str = "UPDATE shop_stock SET left_over = left_over + $2 WHERE sku = $1";
const REMOVE_ORDER: &str =
    "DELETE FROM shop_orders WHERE scope = $1 AND order_id = $2 AND status = 'reserved'";
const PLACE_ORDER: &str = "
    UPDATE shop_orders SET status = 'placed', charge_id = $3
    WHERE scope = $1 AND order_id = $2 AND status = 'reserved'";
const ORDERS: &str = "
    SELECT order_id, scope, sku, qty, amount, currency, charge_id, created_at FROM shop_orders
    WHERE (scope, order_id) > ($1, $2) ORDER BY scope, order_id LIMIT $3";
const ORDER: &str = "
    SELECT order_id, scope, sku, qty, amount, currency, charge_id, created_at FROM shop_orders
    WHERE scope = $1 AND order_id = $2";
const STOCK: &str = "SELECT sku, opening, left_over FROM shop_stock WHERE sku > $1 ORDER BY sku LIMIT $2";
const TOTALS: &str = "
    SELECT count(*), CAST(coalesce(sum(amount), 0) AS bigint), CAST(coalesce(sum(qty), 0) AS bigint)
    FROM shop_orders WHERE status = 'placed'";
const ANY_KEY: &str = "SELECT count(*) FROM (SELECT 1 FROM workflow_idempotency_keys LIMIT 1) AS any_key";

/// A row was not as this workflow left it: a defect, or somebody else's hand.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {rows} rows matched instead of one; nothing was changed, look at the shop's tables")]
pub(crate) struct NotOneRow {
    pub(crate) doing: &'static str,
    pub(crate) rows: u64,
}

/// What the shop asks of a connection. Implemented for SQLite and PostgreSQL; the workflow is generic over it.
pub trait ShopSql: Send + Sized + 'static {
    /// Inserts the order as reserved; `false` if this tenant has one of this id.
    fn insert_order(&mut self, scope: &str, order: &Order)
    -> impl Future<Output = sqlx::Result<bool>> + Send;
    /// Takes a quantity out of the stock; `false` if there is not enough. An article that is seen for the first
    /// time begins with `opening`.
    fn take_stock(
        &mut self,
        sku: &str,
        qty: i64,
        opening: i64,
    ) -> impl Future<Output = sqlx::Result<bool>> + Send;
    /// Puts a quantity back: how many rows matched.
    fn give_back(&mut self, sku: &str, qty: i64) -> impl Future<Output = sqlx::Result<u64>> + Send;
    /// Removes a reserved order: how many rows matched.
    fn remove_order(&mut self, scope: &str, order_id: &str)
    -> impl Future<Output = sqlx::Result<u64>> + Send;
    /// Marks a reserved order as placed: how many rows matched.
    fn place_order(
        &mut self,
        scope: &str,
        order_id: &str,
        charge_id: &str,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;

    /// Whether the shop's tables are there.
    fn tables_exist(&mut self) -> impl Future<Output = sqlx::Result<bool>> + Send;
    /// Creates them, one process at a time. Inside a transaction.
    fn create_tables(&mut self) -> impl Future<Output = sqlx::Result<()>> + Send;
    /// Whether any idempotency key is stored.
    fn has_keys(&mut self) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// A page of orders after this one.
    fn orders(
        &mut self,
        after: (&str, &str),
        page: i64,
    ) -> impl Future<Output = sqlx::Result<Vec<OrderRow>>> + Send;
    /// One order.
    fn order(
        &mut self,
        scope: &str,
        order_id: &str,
    ) -> impl Future<Output = sqlx::Result<Option<OrderRow>>> + Send;
    /// A page of articles after this one.
    fn stock(&mut self, after: &str, page: i64) -> impl Future<Output = sqlx::Result<Vec<StockRow>>> + Send;
    /// A page of the outbox after this message.
    fn jobs(&mut self, after: Uuid, page: i64) -> impl Future<Output = sqlx::Result<Vec<JobRow>>> + Send;
    /// The sums of all placed orders.
    fn totals(&mut self) -> impl Future<Output = sqlx::Result<Totals>> + Send;
}

macro_rules! shop_sql {
    ($connection:ty, $dialect:expr) => {
        impl ShopSql for $connection {
            async fn insert_order(&mut self, scope: &str, order: &Order) -> sqlx::Result<bool> {
                let insert = sqlx::query(INSERT_ORDER).bind(scope).bind(&order.order_id).bind(&order.sku);
                let insert = insert.bind(order.qty).bind(order.amount).bind(&order.currency);
                Ok(insert.execute(self).await?.rows_affected() == 1)
            }

            async fn take_stock(&mut self, sku: &str, qty: i64, opening: i64) -> sqlx::Result<bool> {
                let take = || sqlx::query(TAKE_STOCK).bind(sku).bind(qty);
                if take().execute(&mut *self).await?.rows_affected() == 1 {
                    return Ok(true);
                }
                sqlx::query(OPEN_STOCK).bind(sku).bind(opening).execute(&mut *self).await?;
                // Opened just now, by us or by another.
                Ok(take().execute(self).await?.rows_affected() == 1)
            }

            async fn give_back(&mut self, sku: &str, qty: i64) -> sqlx::Result<u64> {
                Ok(sqlx::query(GIVE_BACK).bind(sku).bind(qty).execute(self).await?.rows_affected())
            }

            async fn remove_order(&mut self, scope: &str, order_id: &str) -> sqlx::Result<u64> {
                Ok(sqlx::query(REMOVE_ORDER).bind(scope).bind(order_id).execute(self).await?.rows_affected())
            }

            async fn place_order(&mut self, scope: &str, order_id: &str, charge: &str) -> sqlx::Result<u64> {
                let place = sqlx::query(PLACE_ORDER).bind(scope).bind(order_id).bind(charge);
                Ok(place.execute(self).await?.rows_affected())
            }

            async fn tables_exist(&mut self) -> sqlx::Result<bool> {
                Ok(sqlx::query_scalar::<_, i64>($dialect.exists).fetch_one(self).await? == 2)
            }

            async fn create_tables(&mut self) -> sqlx::Result<()> {
                sqlx::query($dialect.lock).execute(&mut *self).await?;
                sqlx::raw_sql($dialect.tables).execute(self).await.map(drop)
            }

            async fn has_keys(&mut self) -> sqlx::Result<bool> {
                Ok(sqlx::query_scalar::<_, i64>(ANY_KEY).fetch_one(self).await? > 0)
            }

            async fn orders(&mut self, after: (&str, &str), page: i64) -> sqlx::Result<Vec<OrderRow>> {
                let rows = sqlx::query_as(ORDERS).bind(after.0).bind(after.1).bind(page);
                Ok(rows.fetch_all(self).await?.into_iter().map(order_row).collect())
            }

            async fn order(&mut self, scope: &str, order_id: &str) -> sqlx::Result<Option<OrderRow>> {
                let row = sqlx::query_as(ORDER).bind(scope).bind(order_id).fetch_optional(self);
                Ok(row.await?.map(order_row))
            }

            async fn stock(&mut self, after: &str, page: i64) -> sqlx::Result<Vec<StockRow>> {
                let rows = sqlx::query_as(STOCK).bind(after).bind(page).fetch_all(self).await?;
                Ok(rows.into_iter().map(|(sku, opening, left)| StockRow { sku, opening, left }).collect())
            }

            async fn jobs(&mut self, after: Uuid, page: i64) -> sqlx::Result<Vec<JobRow>> {
                let rows = sqlx::query_as($dialect.jobs).bind(after).bind(page).fetch_all(self).await?;
                Ok(rows.into_iter().map(job_row).collect())
            }

            async fn totals(&mut self) -> sqlx::Result<Totals> {
                let (orders, amount, qty) = sqlx::query_as(TOTALS).fetch_one(self).await?;
                Ok(Totals { orders, amount, qty })
            }
        }
    };
}

shop_sql!(sqlx::SqliteConnection, SQLITE);
shop_sql!(sqlx::PgConnection, POSTGRES);

type OrderColumns = (String, String, String, i64, i64, String, Option<String>, i64);

fn order_row(columns: OrderColumns) -> OrderRow {
    let (order_id, scope, sku, qty, amount, currency, charge_id, created_at) = columns;
    OrderRow { order_id, scope, sku, qty, amount, currency, charge_id, created_at: time(created_at) }
}

fn job_row(
    (message_id, kind, payload, attempts, delivered_at): (Uuid, String, Vec<u8>, i64, Option<i64>),
) -> JobRow {
    #[derive(serde::Deserialize)]
    struct Payload {
        order_id: String,
    }
    let order_id = serde_json::from_slice::<Payload>(&payload).ok().map(|payload| payload.order_id);
    JobRow { message_id, kind, order_id, attempts, delivered_at: delivered_at.map(time) }
}

fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
