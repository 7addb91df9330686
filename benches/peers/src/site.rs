//! Where a measurement happens: a database that nothing has touched before.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::postgres::Server;
use crate::{Error, sqlite};

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// The database that a peer is to open.
#[derive(Clone, Debug)]
pub enum Database {
    /// Its URL.
    Postgres(String),
    /// Its file.
    Sqlite(PathBuf),
}

impl Database {
    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Postgres(_) => Kind::Postgres,
            Self::Sqlite(_) => Kind::Sqlite,
        }
    }
}

/// What can be read at any time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Statements, if the server counts them.
    pub statements: Option<i64>,
    /// Bytes of the write-ahead log.
    pub wal: Option<i64>,
}

/// What is exact only when nobody is connected: sessions report their commits late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settled {
    /// Commits.
    pub commits: Option<i64>,
    /// Bytes of the database.
    pub bytes: i64,
}

/// A fresh database, and what reads its counters.
pub enum Site {
    /// A database on a server.
    Postgres(Box<Server>),
    /// A file in a folder of its own, which goes with this.
    Sqlite {
        /// The file.
        file: PathBuf,
        /// The folder.
        folder: TempDir,
    },
}

impl Site {
    /// Makes one.
    ///
    /// # Errors
    /// The database's, and [`Error::NotDurable`].
    pub async fn fresh(url: &str) -> Result<Self, Error> {
        if let Some(folder) = url.strip_prefix("sqlite:") {
            let folder = tempfile::tempdir_in(folder)?;
            return Ok(Self::Sqlite { file: folder.path().join("peer.db"), folder });
        }
        if !url.starts_with("postgres") {
            return Err(Error::Url(url.to_owned()));
        }
        Ok(Self::Postgres(Box::new(Server::with_fresh_database(url).await?)))
    }

    /// What the peer opens.
    #[must_use]
    pub fn database(&self) -> Database {
        match self {
            Self::Postgres(server) => Database::Postgres(server.url()),
            Self::Sqlite { file, .. } => Database::Sqlite(file.clone()),
        }
    }

    /// The same for a command line.
    #[must_use]
    pub fn exactly(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Sqlite { file, .. } => format!("sqlite:{}", file.display()),
        }
    }

    /// Writes out what is due, so that it is not written within the window.
    ///
    /// # Errors
    /// The database's.
    pub async fn checkpoint(&mut self) -> Result<(), Error> {
        match self {
            Self::Postgres(server) => server.checkpoint().await,
            Self::Sqlite { file, .. } => sqlite::bytes(file).await.map(drop),
        }
    }

    /// Statements and write-ahead log up to now.
    ///
    /// # Errors
    /// The database's.
    pub async fn counters(&mut self) -> Result<Counters, Error> {
        match self {
            Self::Postgres(server) => server.counters().await,
            Self::Sqlite { .. } => Ok(Counters::default()),
        }
    }

    /// Commits and bytes, once nobody is connected.
    ///
    /// # Errors
    /// The database's.
    pub async fn settled(&mut self) -> Result<Settled, Error> {
        match self {
            Self::Postgres(server) => server.settled().await,
            Self::Sqlite { file, .. } => Ok(Settled { commits: None, bytes: sqlite::bytes(file).await? }),
        }
    }

    /// Removes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(self) -> Result<(), Error> {
        match self {
            Self::Postgres(server) => server.drop_database().await,
            Self::Sqlite { folder, .. } => Ok(folder.close()?),
        }
    }
}
