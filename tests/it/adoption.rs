//! A store in somebody's service: its own pool, names of its choice, migrations by other means, a role without DDL
//! rights.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Executor, PgPool, SqlitePool};
use workflow::{Foreign, Key, RecoveryPoint, Response, Runner, Step, Store, StoreError, Workflow};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::databases;

#[derive(Serialize, Deserialize)]
struct Ask;

impl RecoveryPoint for Ask {
    const NAME: &'static str = "started";
}

async fn answer(_: Foreign<'_, (), Ask>, _: Ask) -> Step<Response> {
    Ok(Response::new(200, json!("answered")))
}

fn asking<C: Send + 'static>() -> Workflow<C, (), Ask> {
    Workflow::new("asking").foreign("answer", answer).build()
}

/// Runs one key; whether another run had done it before.
async fn replays<S: Store>(store: &S) -> bool {
    let runner = Runner::builder(store.clone(), ()).with(asking).build().unwrap();
    runner.run(asking, Key::new("tenant", "k").unwrap(), Ask).await.unwrap().replayed()
}

#[tokio::test]
async fn two_stores_share_a_postgres_database_by_schema_and_by_prefix() {
    let database = databases::postgres().await;
    let pool = PgPool::connect(&database.url).await.unwrap();
    let options = workflow_postgres::Options::default;
    for options in [options(), options().prefix("other_"), options().schema("apart"), options().prefix("")] {
        let store = Postgres::from_pool(pool.clone(), options).unwrap();
        assert!(store.verify().await.is_err(), "nothing is there yet");
        store.migrate().await.unwrap();
        store.verify().await.unwrap();
        assert!(!replays(&store).await, "a key of another store was seen");
        assert!(replays(&store).await);
    }
}

#[tokio::test]
async fn two_stores_share_an_sqlite_file_by_prefix() {
    let database = databases::sqlite();
    let options = workflow_sqlite::Options::default;
    for options in [options(), options().prefix("other_"), options().prefix("")] {
        let store = Sqlite::connect(&database.url, options).await.unwrap();
        assert!(store.verify().await.is_err(), "nothing is there yet");
        store.migrate().await.unwrap();
        store.verify().await.unwrap();
        assert!(!replays(&store).await, "a key of another store was seen");
        assert!(replays(&store).await);
    }
}

#[tokio::test]
async fn names_that_are_no_names_are_refused() {
    let database = databases::sqlite();
    for bad in ["x; DROP TABLE orders; --", "Upper", "1st", "sp ace", "ü", &"x".repeat(31), "quote\""] {
        let sqlite = Sqlite::connect(&database.url, workflow_sqlite::Options::default().prefix(bad)).await;
        assert!(matches!(sqlite, Err(StoreError::Refused { .. })), "{bad}");
        let pool = PgPoolOptions::new().connect_lazy("postgres://localhost/none").unwrap();
        let options = workflow_postgres::Options::default().schema(bad);
        assert!(matches!(Postgres::from_pool(pool, options), Err(StoreError::Refused { .. })), "{bad}");
    }
}

#[tokio::test]
async fn an_application_without_ddl_rights_only_verifies() {
    let database = databases::postgres().await;
    let owner = PgPool::connect(&database.url).await.unwrap();
    let role = format!("clerk_{}", std::process::id());
    let create =
        format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&owner).await.unwrap();
    let become_clerk = format!("SET ROLE {role}");
    let clerk = PgPoolOptions::new().max_connections(2).after_connect(move |conn, _| {
        let become_clerk = become_clerk.clone();
        Box::pin(async move { conn.execute(sqlx::AssertSqlSafe(become_clerk)).await.map(drop) })
    });
    let clerk = clerk.connect(&database.url).await.unwrap();
    let store = Postgres::from_pool(clerk, workflow_postgres::Options::default()).unwrap();
    assert!(matches!(store.migrate().await, Err(StoreError::Refused { .. })), "the role has no DDL rights");
    assert!(matches!(store.verify().await, Err(StoreError::Refused { .. })));

    // The owner runs the printed migrations by other means.
    let mut script = String::from("BEGIN;\n");
    for migration in Postgres::migrations(&workflow_postgres::Options::default()).unwrap() {
        script.push_str(&migration.sql);
    }
    script += &format!("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role};\nCOMMIT;");
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&owner).await.unwrap();
    store.verify().await.unwrap();
    assert!(!replays(&store).await);
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}")))
        .execute(&owner)
        .await
        .unwrap();
}

#[tokio::test]
async fn printed_migrations_do_in_sqlite_what_migrate_does() {
    let database = databases::sqlite();
    let store = Sqlite::connect(&database.url, workflow_sqlite::Options::default()).await.unwrap();
    for migration in Sqlite::migrations(&workflow_sqlite::Options::default()).unwrap() {
        sqlx::raw_sql(sqlx::AssertSqlSafe(migration.sql)).execute(store.pool()).await.unwrap();
    }
    store.verify().await.unwrap();
    store.migrate().await.unwrap();
    assert!(!replays(&store).await);
}

#[tokio::test]
async fn a_migration_with_other_contents_is_refused() {
    let (_database, sqlite, _) = databases::sqlite_store().await;
    sqlite.pool().execute("UPDATE workflow_migrations SET checksum = X'00' WHERE version = 1").await.unwrap();
    let (_database, postgres, _) = databases::postgres_store().await;
    postgres
        .pool()
        .execute("UPDATE workflow_migrations SET checksum = '\\x00' WHERE version = 1")
        .await
        .unwrap();
    for refused in
        [sqlite.migrate().await, sqlite.verify().await, postgres.migrate().await, postgres.verify().await]
    {
        let source = match refused {
            Err(StoreError::Refused { source, .. }) => source.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(
            source.contains("migration 1 (idempotency_keys) was applied with other contents"),
            "{source}"
        );
    }
}

/// The pool of an application that says nothing of durability: sqlx's defaults are a rollback journal, and here FULL
/// is switched off besides.
#[tokio::test]
async fn an_sqlite_pool_that_may_lose_commits_is_refused() {
    let database = databases::sqlite();
    let file = || database.url.parse::<SqliteConnectOptions>().unwrap().create_if_missing(true);
    let wal = || file().journal_mode(SqliteJournalMode::Wal);
    let refused = [
        (file().journal_mode(SqliteJournalMode::Delete), "journal_mode is delete"),
        (wal().synchronous(SqliteSynchronous::Normal), "synchronous is 1"),
        (wal().synchronous(SqliteSynchronous::Off), "synchronous is 0"),
    ];
    for (options, why) in refused {
        let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        match Sqlite::from_pool(pool, workflow_sqlite::Options::default()).await {
            Err(StoreError::Refused { source, .. }) => assert!(source.to_string().contains(why), "{source}"),
            other => panic!("{why}: {:?}", other.map(|_| "a store")),
        }
    }
    let pool =
        SqlitePoolOptions::new().connect_with(wal().synchronous(SqliteSynchronous::Full)).await.unwrap();
    let store = Sqlite::from_pool(pool, workflow_sqlite::Options::default()).await.unwrap();
    let version: String =
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one::<&SqlitePool>(store.pool()).await.unwrap();
    let numbers: Vec<u32> = version.split('.').map(|n| n.parse().unwrap()).collect();
    assert!(numbers >= vec![3, 51, 3], "the bundled SQLite is {version}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_as_the_reason() {
    // Bound, and gone again: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    match Postgres::open(&format!("postgres://nobody@{free}/none")).await {
        Err(StoreError::Away { source, .. }) => assert!(source.to_string().contains("refused"), "{source}"),
        other => panic!("{:?}", other.map(|_| "a store")),
    }
}
