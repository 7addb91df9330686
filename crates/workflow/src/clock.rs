//! A clock that tests can move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How far a store's clock runs ahead of the database's own: zero, except in tests.
///
/// Time is the database's clock, in SQL; every expression that reads it adds this offset. A test moves it instead
/// of sleeping: a lease runs out, a retention ends, at once. Clones share the offset.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    /// The offset in microseconds: what a store binds in its statements.
    pub fn offset_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
