//! The PostgreSQL server of `DATABASE_URL`: refused unless it is as durable as in production. It makes databases for a
//! measurement and drops them.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};

use crate::database::Unfit;

/// What a commit needs to survive a power cut, and a torn page.
const SWITCHES: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// The server.
pub struct Server {
    options: PgConnectOptions,
    url: String,
    made: Vec<String>,
}

/// A database on it.
#[derive(Clone)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// For sqlx.
    pub url: String,
    /// For who connects by other means.
    pub plain: tokio_postgres::Config,
}

impl Server {
    /// The server of `DATABASE_URL`.
    ///
    /// # Errors
    /// [`Unfit`] if there is none, or a durability switch is off.
    pub async fn connect() -> Result<Self, Unfit> {
        let url = std::env::var("DATABASE_URL").map_err(|_| Unfit::NoServer)?;
        let mut options: PgConnectOptions = url.parse()?;
        // The floors' driver speaks no TLS here: nobody does, unless the URL asks for it.
        if matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
            options = options.ssl_mode(PgSslMode::Disable);
        }
        let server = Self { options, url, made: Vec::new() };
        let mut conn = server.options.connect().await?;
        durable(&mut conn).await?;
        conn.close().await?;
        Ok(server)
    }

    /// A fresh database; a left-over of that name goes.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn create(&mut self, suffix: &str) -> Result<Place, Unfit> {
        let name = format!("workflow_bench_{}{suffix}", std::process::id());
        let mut conn = self.options.connect().await?;
        sqlx::query(AssertSqlSafe(drop_database(&name))).execute(&mut conn).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut conn).await?;
        conn.close().await?;
        self.made.push(name.clone());
        let url = self.options.clone().database(&name).to_url_lossy().to_string();
        let mut plain: tokio_postgres::Config = self.url.parse()?;
        plain.dbname(&name);
        Ok(Place { name, url, plain })
    }

    /// Drops what it has made.
    ///
    /// # Errors
    /// [`Unfit`].
    pub async fn drop_made(&mut self) -> Result<(), Unfit> {
        let mut conn = self.options.connect().await?;
        for name in self.made.drain(..) {
            sqlx::query(AssertSqlSafe(drop_database(&name))).execute(&mut conn).await?;
        }
        conn.close().await?;
        Ok(())
    }
}

/// `FORCE`, so that a connection that was left open keeps nothing.
fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// Reads the switches back, as this connection has them.
///
/// # Errors
/// [`Unfit::NotDurable`].
pub async fn durable(conn: &mut PgConnection) -> Result<(), Unfit> {
    for setting in SWITCHES {
        let shown = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
        let value: String = shown.fetch_one(&mut *conn).await?;
        if value != "on" {
            return Err(Unfit::NotDurable { setting, value });
        }
    }
    Ok(())
}

/// The same through a store's own pool: a role or a database can have settings of its own.
///
/// # Errors
/// [`Unfit::NotDurable`].
pub async fn durable_pool(pool: &PgPool) -> Result<(), Unfit> {
    durable(&mut *pool.acquire().await?).await
}
