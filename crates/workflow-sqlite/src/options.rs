//! How a store is opened.

use workflow::seam::OnCommit;
use workflow::{Clock, StoreError};

use crate::names::Names;

/// How a store is opened: the names of its tables, its pool, its clock.
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    pub(crate) prefix: String,
    pub(crate) pool_size: u32,
    pub(crate) clock: Clock,
    pub(crate) on_commit: OnCommit,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "workflow_".to_owned(),
            pool_size: 8,
            clock: Clock::default(),
            on_commit: OnCommit::default(),
        }
    }
}

impl Options {
    /// What the names of all tables begin with; `workflow_` if it is not given. At most 30 characters of `a`–`z`,
    /// `0`–`9` and `_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many connections a pool has that the store opens itself; 8 if it is not given. One of them writes at a
    /// time, the others read.
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.pool_size = connections.max(1);
        self
    }

    /// The clock that a test moves.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Is told how many writes each group commit carries: first claims, points of foreign steps, responses, leases
    /// given back. The transactions of atomic steps are no group commits. It is called inline and must not block; a
    /// panic in it is caught.
    pub fn on_commit(mut self, tell: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.on_commit = OnCommit::new(tell);
        self
    }

    pub(crate) fn names(&self) -> Result<Names, StoreError> {
        Names::new(&self.prefix)
    }
}
