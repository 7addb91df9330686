//! SQLite's counters: those of its WAL index, which every connection shares, and the size of its file.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::wal::{Index, Watch};
use super::{Reading, Standing};
use crate::database::Unfit;
use crate::failure::Failure;

/// Reads the counters of one file.
pub struct SqliteMeter {
    path: PathBuf,
    /// Keeps the WAL and its index there when everybody else has gone.
    conn: Connection,
    watch: Watch,
}

impl SqliteMeter {
    /// A meter on a file that is in WAL mode.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let conn = Connection::open(path)?;
        // Nothing is read before something is asked, and then the WAL is there.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(Self { path: path.to_owned(), watch: Watch::start(path)?, conn })
    }

    /// What is counted while runs go on.
    pub fn read(&self) -> Reading {
        Reading { wal_bytes: self.watch.bytes(), ..Reading::default() }
    }

    /// Commits so far, and the size of the file after a checkpoint.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn stand(&self) -> Result<Standing, Failure> {
        let commits = f64::from(Index::read(&self.path)?.commits);
        self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(Standing { commits, table_bytes: std::fs::metadata(&self.path)?.len() as f64 })
    }
}

/// Reads back what a commit needs to survive a power cut. `synchronous` is a connection's own, the mode the file's.
///
/// # Errors
/// [`Unfit::NotDurable`].
pub fn durable(conn: &Connection) -> Result<(), Failure> {
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Unfit::NotDurable { setting: "journal_mode", value: mode }.into());
    }
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if synchronous < 2 {
        return Err(Unfit::NotDurable { setting: "synchronous", value: synchronous.to_string() }.into());
    }
    Ok(())
}
