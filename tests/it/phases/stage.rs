//! Where the cases play: each store, with a table of notes that atomic steps write.

use std::future::Future;

use sqlx::{Executor, PgConnection, PgPool, SqliteConnection, SqlitePool};
use workflow::{BoxError, Clock, Store};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;
use workflow_testkit::{Memory, MemoryConn};

use crate::databases::{self, Database};

const CREATE: &str = "CREATE TABLE notes (note text NOT NULL)";
const NOTE: &str = "INSERT INTO notes VALUES ($1)";
const NOTES: &str = "SELECT note FROM notes ORDER BY note";

/// A store in a database of its own.
pub(crate) struct Stage<S> {
    pub(crate) store: S,
    pub(crate) clock: Clock,
    pub(crate) database: Option<Database>,
}

pub(crate) async fn open<S: Noted>() -> Stage<S> {
    S::open().await
}

/// A connection on which a step writes notes.
pub(crate) trait Notes: Send + 'static {
    fn note(&mut self, text: &str) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Breaks this connection, as the server would.
    fn cut(&mut self) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// A store whose steps write notes.
pub(crate) trait Noted: Store<Conn: Notes> + Sized {
    fn open() -> impl Future<Output = Stage<Self>> + Send;

    /// What the next process has: the same database by connections of its own.
    fn again(stage: &Stage<Self>) -> impl Future<Output = Self> + Send;

    /// The notes that are committed, in order.
    fn notes(&self) -> impl Future<Output = Vec<String>> + Send;
}

impl Notes for MemoryConn {
    async fn note(&mut self, text: &str) -> Result<(), BoxError> {
        let number = self.add("notes", 1);
        self.put(&format!("note {number}"), text);
        Ok(())
    }

    async fn cut(&mut self) -> Result<(), BoxError> {
        Err("cut off".into())
    }
}

impl Noted for Memory {
    async fn open() -> Stage<Self> {
        let clock = Clock::default();
        Stage { store: Self::new().with_clock(clock.clone()), clock, database: None }
    }

    async fn again(stage: &Stage<Self>) -> Self {
        stage.store.clone()
    }

    async fn notes(&self) -> Vec<String> {
        let text = |i| self.get(&format!("note {i}")).and_then(|note| note.as_str().map(str::to_owned));
        let mut notes: Vec<_> = (1..).map_while(text).collect();
        notes.sort();
        notes
    }
}

impl Notes for SqliteConnection {
    async fn note(&mut self, text: &str) -> Result<(), BoxError> {
        sqlx::query(NOTE).bind(text).execute(self).await?;
        Ok(())
    }

    async fn cut(&mut self) -> Result<(), BoxError> {
        Err("cut off".into())
    }
}

impl Noted for Sqlite {
    async fn open() -> Stage<Self> {
        let (database, store, clock) = databases::sqlite_store().await;
        store.pool().execute(CREATE).await.unwrap();
        Stage { store, clock, database: Some(database) }
    }

    async fn again(stage: &Stage<Self>) -> Self {
        let options = workflow_sqlite::Options::default().clock(stage.clock.clone());
        Self::connect(&stage.database.as_ref().unwrap().url, options).await.unwrap()
    }

    async fn notes(&self) -> Vec<String> {
        sqlx::query_scalar(NOTES).fetch_all::<&SqlitePool>(self.pool()).await.unwrap()
    }
}

impl Notes for PgConnection {
    async fn note(&mut self, text: &str) -> Result<(), BoxError> {
        sqlx::query(NOTE).bind(text).execute(self).await?;
        Ok(())
    }

    async fn cut(&mut self) -> Result<(), BoxError> {
        self.execute("SELECT pg_terminate_backend(pg_backend_pid())").await?;
        Ok(())
    }
}

impl Noted for Postgres {
    async fn open() -> Stage<Self> {
        let (database, store, clock) = databases::postgres_store().await;
        store.pool().execute(CREATE).await.unwrap();
        Stage { store, clock, database: Some(database) }
    }

    async fn again(stage: &Stage<Self>) -> Self {
        let options = workflow_postgres::Options::default().clock(stage.clock.clone()).pool_size(4);
        Self::connect(&stage.database.as_ref().unwrap().url, options).await.unwrap()
    }

    async fn notes(&self) -> Vec<String> {
        sqlx::query_scalar(NOTES).fetch_all::<&PgPool>(self.pool()).await.unwrap()
    }
}
