//! SQLite from the outside: how large the file is, and whether it is as durable as asked.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::Error;

/// `synchronous = FULL`: a commit is on the disk before it returns.
const FULL: i64 = 2;

/// The size of the file after its write-ahead log has gone into it.
///
/// # Errors
/// The database's.
pub async fn bytes(file: &Path) -> Result<i64, Error> {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await?;
    sqlx::raw_sql("PRAGMA busy_timeout = 10000; PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(i64::try_from(std::fs::metadata(file)?.len()).unwrap_or(i64::MAX))
}

/// What is written next to the figures.
///
/// # Errors
/// [`Error::NotDurable`] if any connection would lose a commit with the power.
pub fn durability(connections: &[(String, i64)]) -> Result<String, Error> {
    let says =
        |(mode, synchronous): &(String, i64)| format!("journal_mode={mode}, synchronous={synchronous}");
    if let Some(weak) = connections.iter().find(|(_, synchronous)| *synchronous < FULL) {
        return Err(Error::NotDurable(says(weak)));
    }
    let first =
        connections.first().ok_or_else(|| Error::NotDurable("no connection was read back".to_owned()))?;
    Ok(format!("{} on {} connections", says(first), connections.len()))
}

#[cfg(test)]
mod tests {
    use super::durability;

    #[test]
    fn one_weak_connection_of_a_pool_is_refused() {
        let strong = ("wal".to_owned(), 2);
        assert_eq!(
            durability(&[strong.clone(), strong.clone()]).unwrap(),
            "journal_mode=wal, synchronous=2 on 2 connections"
        );
        assert!(durability(&[strong, ("wal".to_owned(), 1)]).is_err());
        assert!(durability(&[]).is_err());
    }
}
