//! The shop's own tables, and how they come to be when many processes start at once.

use workflow::StoreError;

use super::sql::ShopSql;
use super::store::ShopStore;

/// What differs between the two databases.
pub(super) struct Dialect {
    /// Taken first in the migration's transaction, so that one process at a time creates tables. SQLite needs
    /// none: its write transaction is the lock.
    pub(super) lock: &'static str,
    /// Whether the tables are there.
    pub(super) exists: &'static str,
    /// The tables.
    pub(super) tables: &'static str,
    /// A page of the outbox.
    pub(super) jobs: &'static str,
}

pub(super) const SQLITE: Dialect = Dialect {
    lock: "SELECT 1",
    exists: "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('shop_stock', 'shop_orders')",
    tables: tables!(
        integer = "integer",
        now = "(CAST(unixepoch('subsec') * 1000000 AS INTEGER))",
        chars = "length",
        end = "STRICT"
    ),
    jobs: "SELECT message_id, kind, payload, attempts, delivered_at FROM workflow_staged_jobs
        WHERE message_id > $1 ORDER BY message_id LIMIT $2",
};

pub(super) const POSTGRES: Dialect = Dialect {
    // "checkout", as a number of eight bytes.
    lock: "SELECT pg_advisory_xact_lock(7163086685011408244)",
    exists: "SELECT count(*) FROM pg_tables
        WHERE schemaname = current_schema() AND tablename IN ('shop_stock', 'shop_orders')",
    tables: tables!(
        integer = "bigint",
        now = "(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint))",
        chars = "char_length",
        end = ""
    ),
    jobs: "SELECT message_id, kind, payload, CAST(attempts AS bigint),
            CAST(extract(epoch FROM delivered_at) * 1000000 AS bigint)
        FROM workflow_staged_jobs WHERE message_id > $1 ORDER BY message_id LIMIT $2",
};

/// The tables of the database's dialect. A row of stock can neither be sold below zero nor be given back twice; an
/// order is paid exactly when it is placed.
macro_rules! tables {
    (integer = $integer:literal, now = $now:literal, chars = $chars:literal, end = $end:literal) => {
        concat!(
            "CREATE TABLE IF NOT EXISTS shop_stock (
                sku text NOT NULL PRIMARY KEY CHECK (",
            $chars,
            "(sku) BETWEEN 1 AND 64),
                opening ",
            $integer,
            " NOT NULL CHECK (opening >= 0),
                left_over ",
            $integer,
            " NOT NULL CHECK (left_over BETWEEN 0 AND opening)
            ) ",
            $end,
            ";
            CREATE TABLE IF NOT EXISTS shop_orders (
                scope text NOT NULL CHECK (",
            $chars,
            "(scope) BETWEEN 1 AND 255),
                order_id text NOT NULL CHECK (",
            $chars,
            "(order_id) BETWEEN 1 AND 100),
                sku text NOT NULL CHECK (",
            $chars,
            "(sku) BETWEEN 1 AND 64),
                qty ",
            $integer,
            " NOT NULL CHECK (qty BETWEEN 1 AND 1000000),
                amount ",
            $integer,
            " NOT NULL CHECK (amount >= 0),
                currency text NOT NULL CHECK (",
            $chars,
            "(currency) = 3),
                status text NOT NULL DEFAULT 'reserved' CHECK (status IN ('reserved', 'placed')),
                charge_id text,
                created_at ",
            $integer,
            " NOT NULL DEFAULT ",
            $now,
            ",
                PRIMARY KEY (scope, order_id),
                CHECK ((status = 'placed') = (charge_id IS NOT NULL))
            ) ",
            $end,
            ";"
        )
    };
}
use tables;

/// Creates the shop's tables if they are not there. Many processes may do it at once.
///
/// # Errors
/// [`StoreError`] if the database is away or refuses.
pub(crate) async fn migrate<S: ShopStore>(store: &S) -> Result<(), StoreError> {
    if exists(store).await? {
        return Ok(());
    }
    let mut tx = store.begin().await?;
    match tx.create_tables().await {
        Ok(()) => store.commit(tx).await,
        Err(error) => {
            store.rollback(tx).await;
            Err(StoreError::Refused { doing: "creating the shop's tables", source: error.into() })
        }
    }
}

/// Fails unless the tables are there.
pub(crate) async fn verify<S: ShopStore>(store: &S) -> Result<(), StoreError> {
    match exists(store).await? {
        true => Ok(()),
        false => Err(StoreError::Refused {
            doing: "looking for the shop's tables",
            source: "they are not there: run `checkout migrate` first".into(),
        }),
    }
}

async fn exists<S: ShopStore>(store: &S) -> Result<bool, StoreError> {
    let away = |e: sqlx::Error| StoreError::Away { doing: "looking for the shop's tables", source: e.into() };
    store.reader().await.map_err(away)?.tables_exist().await.map_err(away)
}
