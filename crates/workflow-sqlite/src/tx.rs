//! The transaction: begun so that nobody can leave it half begun.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use workflow::{BoxError, StoreError};

use crate::error::{committing, harmless};

/// A write transaction: SQLite has one writer, so within a process they queue here, in order, instead of in the
/// database's own busy loop. Dropped without a commit, it is rolled back.
pub struct Tx {
    tx: Transaction<'static, sqlx::Sqlite>,
    _writer: OwnedSemaphorePermit,
}

impl Tx {
    /// `BEGIN IMMEDIATE`, in a task of its own: a caller that is dropped in the middle leaves a transaction that is
    /// rolled back, not a connection in the pool with an open one.
    pub(crate) async fn begin(pool: &SqlitePool, writer: &Arc<Semaphore>) -> Result<Self, StoreError> {
        let (pool, writer) = (pool.clone(), writer.clone());
        let begun = tokio::spawn(async move {
            let writer = writer.acquire_owned().await.map_err(|e| away(e.into()))?;
            let tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(harmless("beginning"))?;
            Ok(Self { tx, _writer: writer })
        });
        begun.await.unwrap_or_else(|e| Err(away(e.into())))
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
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.tx
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}

fn away(source: BoxError) -> StoreError {
    StoreError::Away { doing: "beginning", source }
}
