//! What the database counts, read before and after.

pub mod postgres;
pub mod process;
pub mod sqlite;
pub mod wal;

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::failure::Failure;
pub use postgres::PostgresMeter;
pub use sqlite::SqliteMeter;

/// Where a lane is counted.
pub enum Counter {
    /// In a database of the server.
    Postgres {
        /// Its name.
        database: String,
        /// What reads the server's counters.
        meter: Arc<Mutex<PostgresMeter>>,
    },
    /// In a file.
    Sqlite(SqliteMeter),
}

impl Counter {
    /// What can be read while connections are open.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(&self) -> Result<Reading, Failure> {
        match self {
            Self::Sqlite(file) => Ok(file.read()),
            Self::Postgres { database, meter } => Ok(meter.lock().await.read(database).await?),
        }
    }

    /// What can be read only when nothing runs, and in PostgreSQL when nobody is connected.
    ///
    /// # Errors
    /// The database's.
    pub async fn stand(&self) -> Result<Standing, Failure> {
        match self {
            Self::Sqlite(file) => file.stand(),
            Self::Postgres { database, meter } => Ok(meter.lock().await.stand(database).await?),
        }
    }
}

/// Counters at a moment, or the difference of two. What cannot be counted is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// Statements that a client sent.
    pub statements: Option<f64>,
    /// Transactions that have written.
    pub xids: Option<f64>,
    /// Bytes of write-ahead log.
    pub wal_bytes: Option<f64>,
    /// Processor time of the server.
    pub server_cpu_us: Option<f64>,
}

impl Reading {
    /// What has been counted since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.with(earlier, |now, then| now - then)
    }

    /// Two differences together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    /// Nothing, of everything.
    pub fn zero() -> Self {
        let none = Some(0.0);
        Self { statements: none, xids: none, wal_bytes: none, server_cpu_us: none }
    }

    fn with(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let both = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| f(a, b));
        Self {
            statements: both(self.statements, other.statements),
            xids: both(self.xids, other.xids),
            wal_bytes: both(self.wal_bytes, other.wal_bytes),
            server_cpu_us: both(self.server_cpu_us, other.server_cpu_us),
        }
    }
}

/// What is read when nothing runs: before the warm-up and after the last round.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Transactions that were committed, those that only read included where the database counts them.
    pub commits: f64,
    /// Bytes of tables and indexes.
    pub table_bytes: f64,
}
