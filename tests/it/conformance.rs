//! The conformance suite over both stores, each on a real database.

use std::sync::{Arc, Mutex};

use sqlx::{Executor, PgConnection, PgPool, Row, SqliteConnection, SqlitePool};
use uuid::Uuid;
use workflow::{BoxError, Clock, StagedJob};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;
use workflow_testkit::conformance::Factory;

use crate::databases::{self, Database};

const CREATE_NOTES: &str = "CREATE TABLE notes (note text NOT NULL)";
const NOTE: &str = "INSERT INTO notes VALUES ($1)";
const NOTES: &str = "SELECT note FROM notes";
const STAGED: &str = "SELECT message_id, kind, payload FROM workflow_staged_jobs";
const DELIVER: &str = "UPDATE workflow_staged_jobs SET delivered_at = staged_at WHERE message_id = $1";

/// What both factories remember: the database that their stores are in, and its clock.
#[derive(Clone, Default)]
struct Place {
    database: Arc<Mutex<Option<Database>>>,
    clock: Clock,
}

impl Place {
    fn at(&self, database: Database) -> String {
        let url = database.url.clone();
        *self.database.lock().unwrap() = Some(database);
        url
    }

    fn url(&self) -> String {
        self.database.lock().unwrap().as_ref().expect("a blank store comes first").url.clone()
    }
}

#[derive(Clone, Default)]
struct InSqlite(Place);

impl InSqlite {
    async fn connect(&self, url: &str) -> Sqlite {
        let options = workflow_sqlite::Options::default().clock(self.0.clock.clone());
        Sqlite::connect(url, options).await.unwrap()
    }
}

impl Factory for InSqlite {
    type Store = Sqlite;

    async fn blank(&self) -> Sqlite {
        let store = self.connect(&self.0.at(databases::sqlite())).await;
        store.pool().execute(CREATE_NOTES).await.unwrap();
        store
    }

    async fn migrate(&self, store: &Sqlite) -> Result<(), BoxError> {
        Ok(store.migrate().await?)
    }

    async fn verify(&self, store: &Sqlite) -> Result<(), BoxError> {
        Ok(store.verify().await?)
    }

    async fn reopen(&self, _: &Sqlite) -> Sqlite {
        self.connect(&self.0.url()).await
    }

    fn clock(&self, _: &Sqlite) -> Clock {
        self.0.clock.clone()
    }

    async fn note(&self, conn: &mut SqliteConnection, text: &str) -> Result<(), BoxError> {
        sqlx::query(NOTE).bind(text).execute(conn).await?;
        Ok(())
    }

    async fn notes(&self, store: &Sqlite) -> Vec<String> {
        sqlx::query_scalar(NOTES).fetch_all::<&SqlitePool>(store.pool()).await.unwrap()
    }

    async fn staged(&self, store: &Sqlite) -> Vec<StagedJob> {
        let rows = sqlx::query(STAGED).fetch_all::<&SqlitePool>(store.pool()).await.unwrap();
        let job = |row: &sqlx::sqlite::SqliteRow| StagedJob {
            message_id: row.get::<Uuid, _>(0),
            kind: row.get(1),
            payload: row.get(2),
        };
        rows.iter().map(job).collect()
    }

    async fn deliver(&self, store: &Sqlite, message_id: Uuid) {
        sqlx::query(DELIVER).bind(message_id).execute::<&SqlitePool>(store.pool()).await.unwrap();
    }
}

#[derive(Clone, Default)]
struct InPostgres(Place);

impl InPostgres {
    async fn connect(&self, url: &str) -> Postgres {
        let options = workflow_postgres::Options::default().clock(self.0.clock.clone()).pool_size(8);
        Postgres::connect(url, options).await.unwrap()
    }
}

impl Factory for InPostgres {
    type Store = Postgres;

    async fn blank(&self) -> Postgres {
        let store = self.connect(&self.0.at(databases::postgres().await)).await;
        store.pool().execute(CREATE_NOTES).await.unwrap();
        store
    }

    async fn migrate(&self, store: &Postgres) -> Result<(), BoxError> {
        Ok(store.migrate().await?)
    }

    async fn verify(&self, store: &Postgres) -> Result<(), BoxError> {
        Ok(store.verify().await?)
    }

    async fn reopen(&self, _: &Postgres) -> Postgres {
        self.connect(&self.0.url()).await
    }

    fn clock(&self, _: &Postgres) -> Clock {
        self.0.clock.clone()
    }

    async fn note(&self, conn: &mut PgConnection, text: &str) -> Result<(), BoxError> {
        sqlx::query(NOTE).bind(text).execute(conn).await?;
        Ok(())
    }

    async fn notes(&self, store: &Postgres) -> Vec<String> {
        sqlx::query_scalar(NOTES).fetch_all::<&PgPool>(store.pool()).await.unwrap()
    }

    async fn staged(&self, store: &Postgres) -> Vec<StagedJob> {
        let rows = sqlx::query(STAGED).fetch_all::<&PgPool>(store.pool()).await.unwrap();
        let job = |row: &sqlx::postgres::PgRow| StagedJob {
            message_id: row.get::<Uuid, _>(0),
            kind: row.get(1),
            payload: row.get(2),
        };
        rows.iter().map(job).collect()
    }

    async fn deliver(&self, store: &Postgres, message_id: Uuid) {
        sqlx::query(DELIVER).bind(message_id).execute::<&PgPool>(store.pool()).await.unwrap();
    }
}

mod sqlite {
    use super::InSqlite;
    workflow_testkit::conformance!(InSqlite::default());
}

mod postgres {
    use super::InPostgres;
    workflow_testkit::conformance!(InPostgres::default());
}
