//! PostgreSQL from the outside: a database for one measurement, and the server's counters of it, read over a
//! connection to another database.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::Error;
use crate::site::{Counters, Settled};

/// A session reports its commits before it is gone; the sum is read until it stands still for so long.
const STILL: Duration = Duration::from_millis(300);

/// A server, and the database on it that is measured.
pub struct Server {
    connection: PgConnection,
    options: PgConnectOptions,
    name: String,
    counts_statements: bool,
}

impl Server {
    /// Makes a database on the server.
    ///
    /// # Errors
    /// The database's, and [`Error::NotDurable`].
    pub async fn with_fresh_database(url: &str) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse()?;
        let mut connection = options.connect().await?;
        let name = format!("peer_{}", std::process::id());
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
            .execute(&mut connection)
            .await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
        let counts_statements = sqlx::query(CREATE_STATEMENTS).execute(&mut connection).await.is_ok()
            && sqlx::query(STATEMENTS).bind(&name).fetch_one(&mut connection).await.is_ok();
        Ok(Self { connection, options: options.database(&name), name, counts_statements })
    }

    /// The URL of the fresh database.
    #[must_use]
    pub fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    /// Read back in the database itself, where a peer could have changed it.
    ///
    /// # Errors
    /// [`Error::NotDurable`] if a switch is off.
    pub async fn durability(&self) -> Result<String, Error> {
        let mut connection = self.options.connect().await?;
        let read: String = sqlx::query_scalar(DURABILITY).fetch_one(&mut connection).await?;
        connection.close().await?;
        if read == "fsync=on, synchronous_commit=on, full_page_writes=on" {
            Ok(read)
        } else {
            Err(Error::NotDurable(read))
        }
    }

    /// Writes all dirty pages.
    ///
    /// # Errors
    /// The database's.
    pub async fn checkpoint(&mut self) -> Result<(), Error> {
        Ok(sqlx::query("CHECKPOINT").execute(&mut self.connection).await.map(drop)?)
    }

    /// Statements of the database and the write-ahead log of the server, up to now.
    ///
    /// # Errors
    /// The database's.
    pub async fn counters(&mut self) -> Result<Counters, Error> {
        let wal = sqlx::query_scalar(WAL).fetch_one(&mut self.connection).await?;
        let statements = match self.counts_statements {
            true => {
                Some(sqlx::query_scalar(STATEMENTS).bind(&self.name).fetch_one(&mut self.connection).await?)
            }
            false => None,
        };
        Ok(Counters { statements, wal: Some(wal) })
    }

    /// Ends every session of the database, so that all have reported, and reads its commits and its size.
    ///
    /// # Errors
    /// The database's.
    pub async fn settled(&mut self) -> Result<Settled, Error> {
        self.allow_connections(false).await?;
        while sqlx::query_scalar::<_, i64>(END_SESSIONS)
            .bind(&self.name)
            .fetch_one(&mut self.connection)
            .await?
            > 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut commits = self.commits().await?;
        loop {
            tokio::time::sleep(STILL).await;
            let later = self.commits().await?;
            if later == commits {
                break;
            }
            commits = later;
        }
        let bytes = sqlx::query_scalar(BYTES).bind(&self.name).fetch_one(&mut self.connection).await?;
        self.allow_connections(true).await?;
        Ok(Settled { commits: Some(commits), bytes })
    }

    /// Drops it.
    ///
    /// # Errors
    /// The database's.
    pub async fn drop_database(mut self) -> Result<(), Error> {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(self.connection.close().await?)
    }

    async fn commits(&mut self) -> Result<i64, Error> {
        Ok(sqlx::query_scalar(COMMITS).bind(&self.name).fetch_one(&mut self.connection).await?)
    }

    /// Nobody connects again while sessions are ended.
    async fn allow_connections(&mut self, allowed: bool) -> Result<(), Error> {
        let sql = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allowed}", self.name);
        Ok(sqlx::query(AssertSqlSafe(sql)).execute(&mut self.connection).await.map(drop)?)
    }
}

const CREATE_STATEMENTS: &str = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements";
const STATEMENTS: &str = "
    SELECT coalesce(sum(calls), 0)::int8 FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)";
const WAL: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8";
const DURABILITY: &str = "
    SELECT string_agg(name || '=' || current_setting(name), ', ' ORDER BY place)
    FROM unnest(ARRAY['fsync', 'synchronous_commit', 'full_page_writes']) WITH ORDINALITY AS switches (name, place)";
const END_SESSIONS: &str = "
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = $1 AND backend_type = 'client backend'";
const COMMITS: &str = "SELECT xact_commit FROM pg_stat_database WHERE datname = $1";
const BYTES: &str = "SELECT pg_database_size($1)";
