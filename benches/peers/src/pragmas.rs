//! What SQLite's durability is on every connection of a pool: read on the connections themselves, because
//! `synchronous` belongs to a connection and not to the file. Twice, for the two sqlx that the peers use.

use crate::Error;

/// A pool of sqlx 0.9.
///
/// # Errors
/// The database's.
pub async fn read(pool: &sqlx::SqlitePool) -> Result<Vec<(String, i64)>, Error> {
    let mut connections = Vec::new();
    for _ in 0..pool.size() {
        connections.push(pool.acquire().await?);
    }
    let mut read = Vec::new();
    for connection in &mut connections {
        let mode = sqlx::query_scalar(JOURNAL_MODE).fetch_one(&mut **connection).await?;
        read.push((mode, sqlx::query_scalar(SYNCHRONOUS).fetch_one(&mut **connection).await?));
    }
    Ok(read)
}

/// A pool of sqlx 0.8.
///
/// # Errors
/// The database's.
pub async fn read_old(pool: &sqlx_old::SqlitePool) -> Result<Vec<(String, i64)>, Error> {
    let mut connections = Vec::new();
    for _ in 0..pool.size() {
        connections.push(pool.acquire().await.map_err(Error::peer)?);
    }
    let mut read = Vec::new();
    for connection in &mut connections {
        let mode =
            sqlx_old::query_scalar(JOURNAL_MODE).fetch_one(&mut **connection).await.map_err(Error::peer)?;
        let synchronous = sqlx_old::query_scalar(SYNCHRONOUS).fetch_one(&mut **connection).await;
        read.push((mode, synchronous.map_err(Error::peer)?));
    }
    Ok(read)
}

/// Sets `synchronous = FULL` on every connection that a pool of sqlx 0.8 may ever have.
///
/// # Errors
/// The database's.
pub async fn set_full_old(pool: &sqlx_old::SqlitePool) -> Result<(), Error> {
    let mut connections = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        connections.push(pool.acquire().await.map_err(Error::peer)?);
    }
    for connection in &mut connections {
        sqlx_old::query("PRAGMA synchronous = FULL").execute(&mut **connection).await.map_err(Error::peer)?;
    }
    Ok(())
}

const JOURNAL_MODE: &str = "PRAGMA journal_mode";
const SYNCHRONOUS: &str = "PRAGMA synchronous";
