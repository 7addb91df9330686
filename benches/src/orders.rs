//! The application's own table, into which the atomic steps of the checkout write.

use std::convert::Infallible;
use std::future::Future;

use workflow_testkit::MemoryConn;

/// A connection through which an order's row is written.
pub trait Orders: Send + 'static {
    /// Why a row is not written.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Writes a row.
    fn place(&mut self, order: i64, data: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl Orders for MemoryConn {
    type Error = Infallible;

    async fn place(&mut self, _: i64, _: &str) -> Result<(), Infallible> {
        self.add("orders", 1);
        Ok(())
    }
}

#[cfg(feature = "programs")]
pub use tables::{CREATE_POSTGRES, CREATE_SQLITE, INSERT};

#[cfg(feature = "programs")]
mod tables {
    use sqlx::{PgConnection, SqliteConnection};

    use super::Orders;

    /// The table, in SQLite.
    pub const CREATE_SQLITE: &str = "
        CREATE TABLE bench_orders (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, data TEXT NOT NULL)";

    /// The table, in PostgreSQL.
    pub const CREATE_POSTGRES: &str = "
        CREATE TABLE bench_orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number bigint NOT NULL, data text NOT NULL
        )";

    /// A row, in both.
    pub const INSERT: &str = "INSERT INTO bench_orders (number, data) VALUES ($1, $2)";

    impl Orders for PgConnection {
        type Error = sqlx::Error;

        async fn place(&mut self, order: i64, data: &str) -> Result<(), sqlx::Error> {
            sqlx::query(INSERT).bind(order).bind(data).execute(self).await.map(drop)
        }
    }

    impl Orders for SqliteConnection {
        type Error = sqlx::Error;

        async fn place(&mut self, order: i64, data: &str) -> Result<(), sqlx::Error> {
            sqlx::query(INSERT).bind(order).bind(data).execute(self).await.map(drop)
        }
    }
}
