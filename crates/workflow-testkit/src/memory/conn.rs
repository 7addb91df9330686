//! A connection and a transaction in memory: what atomic steps write through.

use std::ops::{Deref, DerefMut};

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use super::database::Database;

/// The connection that atomic steps get from a [`Memory`](super::Memory): a scratch pad of named JSON values. What
/// a step writes on it commits together with its recovery point, or not at all.
pub struct MemoryConn {
    pub(super) database: Database,
}

impl MemoryConn {
    /// Writes a value.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.database.pad.insert(name.to_owned(), value.into());
    }

    /// Reads a value: this transaction's own writes first.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.database.pad.get(name).cloned()
    }

    /// Adds to a number and returns the sum. A value that is not there counts as 0.
    ///
    /// # Panics
    /// If the value is not a whole number.
    pub fn add(&mut self, name: &str, by: i64) -> i64 {
        let old = self.database.pad.get(name).map_or(0, |value| {
            value.as_i64().unwrap_or_else(|| panic!("`{name}` holds {value}, which is not a whole number"))
        });
        self.put(name, old + by);
        old + by
    }
}

/// A transaction in memory. It excludes every other writer; dropped without a commit, it is rolled back.
pub struct MemoryTx {
    pub(super) conn: MemoryConn,
    pub(super) _writer: OwnedMutexGuard<()>,
}

impl Deref for MemoryTx {
    type Target = MemoryConn;

    fn deref(&self) -> &MemoryConn {
        &self.conn
    }
}

impl DerefMut for MemoryTx {
    fn deref_mut(&mut self) -> &mut MemoryConn {
        &mut self.conn
    }
}
