//! What the shop asks of a store beyond the seam: a connection to read from, and to be brought up to date.

use std::future::Future;
use std::ops::DerefMut;

use sqlx::pool::PoolConnection;
use workflow::{Store, StoreError};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::sql::Sql;

/// A store whose connection speaks the shop's SQL.
pub trait ShopStore: Store<Conn: Sql> {
    /// A connection to read from.
    type Reader: DerefMut<Target = Self::Conn> + Send;

    /// A connection to read from, outside any transaction.
    fn reader(&self) -> impl Future<Output = sqlx::Result<Self::Reader>> + Send;

    /// Creates or upgrades all tables: the workflow's and the shop's. Many processes may do it at once.
    fn migrate_all(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

macro_rules! shop_store {
    ($store:ty, $database:ty) => {
        impl ShopStore for $store {
            type Reader = PoolConnection<$database>;

            async fn reader(&self) -> sqlx::Result<Self::Reader> {
                self.pool().acquire().await
            }

            async fn migrate_all(&self) -> Result<(), StoreError> {
                self.migrate().await?;
                create_tables(self).await
            }
        }
    };
}

shop_store!(Sqlite, sqlx::Sqlite);
shop_store!(Postgres, sqlx::Postgres);

async fn create_tables<S: ShopStore>(store: &S) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    match tx.create_tables().await {
        Ok(()) => store.commit(tx).await,
        Err(error) => {
            store.rollback(tx).await;
            Err(StoreError::Refused { doing: "creating the shop's tables", source: error.into() })
        }
    }
}
