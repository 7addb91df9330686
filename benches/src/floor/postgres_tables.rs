//! The tables of the PostgreSQL floors: no column that the guards do not need, and the indexes and the storage of the
//! product's own tables.

use crate::failure::Failure;
use crate::orders;
use crate::server::Place;

/// How many connections a floor without a committer has.
pub const CONNECTIONS: usize = 20;

const CREATE: &str = "
    CREATE TABLE keys (
        id bigint PRIMARY KEY, scope text NOT NULL, key text NOT NULL, input bytea NOT NULL,
        recovery_point text NOT NULL, status text NOT NULL, fence bigint NOT NULL, lease_expires_at timestamptz,
        wake_at timestamptz, response bytea, created_at timestamptz NOT NULL, finished_at timestamptz,
        UNIQUE (scope, key)
    ) WITH (toast_tuple_target = 128, fillfactor = 50);
    ALTER TABLE keys ALTER COLUMN input SET STORAGE EXTERNAL, ALTER COLUMN response SET STORAGE EXTERNAL;
    CREATE INDEX keys_unfinished ON keys (status) WHERE finished_at IS NULL;
    CREATE INDEX keys_wake_at ON keys (wake_at) WHERE wake_at IS NOT NULL;
    CREATE TABLE points (
        key_id bigint NOT NULL, seq smallint NOT NULL, name text NOT NULL, data bytea, fence bigint NOT NULL,
        at timestamptz NOT NULL, PRIMARY KEY (key_id, seq)
    );
";

/// Makes the tables.
///
/// # Errors
/// The database's.
pub async fn create(place: &Place) -> Result<(), Failure> {
    let client = connect(place).await?;
    client.batch_execute(CREATE).await?;
    client.batch_execute(orders::CREATE_POSTGRES).await?;
    Ok(())
}

/// A connection of the fast driver; it closes when its client is dropped.
///
/// # Errors
/// The database's.
pub async fn connect(place: &Place) -> Result<tokio_postgres::Client, Failure> {
    let (client, connection) = place.plain.connect(tokio_postgres::NoTls).await?;
    // How it ends, its client hears.
    tokio::spawn(async move { connection.await.is_ok() });
    Ok(client)
}
