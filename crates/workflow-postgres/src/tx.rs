//! The transaction: begun so that nobody can leave it half begun.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, PgPool, Transaction};
use workflow::StoreError;

use crate::error::{committing, harmless};

/// A transaction, READ COMMITTED whatever the database's default is: the guards are compare-and-set on single rows.
/// Dropped without a commit, it is rolled back.
pub struct Tx {
    tx: Transaction<'static, sqlx::Postgres>,
}

impl Tx {
    /// `BEGIN`, in a task of its own: a caller that is dropped in the middle leaves a transaction that is rolled
    /// back, not a connection in the pool with an open one, as sqlx 0.9.0 alone would.
    pub(crate) async fn begin(pool: &PgPool) -> Result<Self, StoreError> {
        let pool = pool.clone();
        let begun = tokio::spawn(async move {
            let begun = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await;
            Ok(Self { tx: begun.map_err(harmless("beginning"))? })
        });
        begun.await.unwrap_or_else(|e| Err(StoreError::Away { doing: "beginning", source: e.into() }))
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(committing("committing"))
    }

    pub(crate) async fn rollback(self) {
        if let Err(error) = self.tx.rollback().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "rollback failed");
        }
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
