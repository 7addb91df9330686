//! How a shop is opened: the store of the URL, and the runner over it.

use std::sync::Arc;
use std::time::Duration;

use workflow::{BuildError, Runner};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::app::App;
use crate::failure::Failure;
use crate::payments::Payments;
use crate::steps::complete_cart;
use crate::store::ShopStore;

/// The store of a URL.
pub enum AnyStore {
    /// In a file.
    Sqlite(Sqlite),
    /// In a server.
    Postgres(Postgres),
}

impl AnyStore {
    /// Opens the store of this URL, and brings its tables up to date.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(url: &str) -> Result<Self, Failure> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let store = Postgres::connect(url, workflow_postgres::Options::default()).await?;
            store.migrate_all().await?;
            return Ok(Self::Postgres(store));
        }
        if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
            let usage = "the database URL is that of a file or a server: give sqlite://FILE or postgres://…";
            return Err(Failure::Usage(usage.to_owned()));
        }
        let store = Sqlite::connect(url, workflow_sqlite::Options::default()).await?;
        store.migrate_all().await?;
        Ok(Self::Sqlite(store))
    }
}

/// The runner of `complete_cart`.
///
/// # Errors
/// [`BuildError`] if the lease is too short.
pub fn runner<S: ShopStore>(
    store: S,
    payments: Arc<dyn Payments>,
    lease: Duration,
) -> Result<Runner<S, App>, BuildError> {
    Runner::builder(store, App { payments })
        .with(complete_cart::<S::Conn>)
        .namespace("medusa-cart")
        .lease(lease)
        .build()
}
