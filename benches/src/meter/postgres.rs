//! PostgreSQL's own counters, read through a connection to a database in which nothing else happens.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};

use super::{Reading, Standing, process};
use crate::database::Unfit;
use crate::server::Server;

/// Between two looks at what is still connected.
const PAUSE: Duration = Duration::from_millis(20);

/// Reads PostgreSQL's counters.
pub struct PostgresMeter {
    conn: PgConnection,
    /// Whether statements are counted.
    statements: bool,
    /// The process of which all processes of the server are children, if it is on this machine.
    postmaster: Option<i32>,
}

impl PostgresMeter {
    /// A meter in a database of its own.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn open(server: &mut Server) -> Result<Self, Unfit> {
        let place = server.create("_meter").await?;
        let mut conn = PgConnection::connect(&place.url).await?;
        let statements = count_statements(&mut conn).await;
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut conn).await?;
        Ok(Self { conn, statements, postmaster: process::parent_of(pid, &place.name) })
    }

    /// Whether statements are counted.
    pub fn counts_statements(&self) -> bool {
        self.statements
    }

    /// Begins a new checkpoint cycle: what follows first writes full pages, which the warm-up takes upon itself.
    ///
    /// # Errors
    /// The database's.
    pub async fn checkpoint(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("CHECKPOINT").execute(&mut self.conn).await.map(drop)
    }

    /// What is counted at once, as it stands now. The log and the transactions are the whole server's: nothing else
    /// must
    /// run on it.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(&mut self, database: &str) -> Result<Reading, sqlx::Error> {
        let row = sqlx::query(SERVER).fetch_one(&mut self.conn).await?;
        let statements = match self.statements {
            true => Some(sqlx::query_scalar(STATEMENTS).bind(database).fetch_one(&mut self.conn).await?),
            false => None,
        };
        Ok(Reading {
            statements,
            xids: Some(row.get(0)),
            wal_bytes: Some(row.get(1)),
            server_cpu_us: self.postmaster.and_then(process::family_us),
        })
    }

    /// What is counted when a session ends, or long after: waits until nobody is connected to the database.
    ///
    /// # Errors
    /// The database's.
    pub async fn stand(&mut self, database: &str) -> Result<Standing, sqlx::Error> {
        while sqlx::query_scalar(BUSY).bind(database).fetch_one(&mut self.conn).await? {
            tokio::time::sleep(PAUSE).await;
        }
        let row = sqlx::query(STANDING).bind(database).fetch_one(&mut self.conn).await?;
        Ok(Standing { commits: row.get(0), table_bytes: row.get(1) })
    }
}

async fn count_statements(conn: &mut PgConnection) -> bool {
    let created = sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(&mut *conn).await;
    created.is_ok() && sqlx::query_scalar::<_, f64>(STATEMENTS).bind("").fetch_one(conn).await.is_ok()
}

const SERVER: &str = "
    SELECT pg_snapshot_xmax(pg_current_snapshot())::text::float8, (pg_current_wal_insert_lsn() - '0/0')::float8";
const STATEMENTS: &str = "
    SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)";
const BUSY: &str = "
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend')";
const STANDING: &str = "
    SELECT xact_commit::float8, pg_database_size(datname)::float8 FROM pg_stat_database WHERE datname = $1";
