//! What fails or is given up on one connection stops nobody else: the connection is closed, and waiting has an end.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Connection, Executor, PgConnection, SqlitePool};
use workflow::seam::{Failure, Lease, Then};
use workflow::{Key, Store, StoreError};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::databases;
use crate::other_builds::new_key;

fn key() -> Key {
    Key::new("tenant", "k").unwrap()
}

/// A store with this one connection.
async fn one_connection(store: &Sqlite) -> Sqlite {
    let pool = store.pool().options().clone().max_connections(1);
    let pool: SqlitePool =
        SqlitePoolOptions::connect_with(pool, (*store.pool().connect_options()).clone()).await.unwrap();
    Sqlite::from_pool(pool, workflow_sqlite::Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_full_database_takes_writes_again_when_there_is_room() {
    let (_database, store, _) = databases::sqlite_store().await;
    let one = one_connection(&store).await;
    one.pool().execute("CREATE TABLE big (x blob)").await.unwrap();
    for _ in 0..3 {
        let mut tx = one.begin().await.unwrap();
        tx.execute("PRAGMA max_page_count = 1").await.unwrap();
        let full = async {
            for _ in 0..10 {
                tx.execute("INSERT INTO big VALUES (zeroblob(1000000))").await?;
            }
            Ok::<_, sqlx::Error>(())
        };
        let full = full.await.unwrap_err();
        assert!(full.to_string().contains("full"), "{full}");
        one.rollback(tx).await;
        // There is room again.
        one.pool().execute("PRAGMA max_page_count = 1000000").await.unwrap();
        let tx = one.begin().await.unwrap();
        one.commit(tx).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_connection_that_somebody_left_in_a_transaction_is_not_used_again() {
    let (_database, store, _) = databases::sqlite_store().await;
    let one = one_connection(&store).await;
    // sqlx keeps counting a transaction that the database has ended.
    let mut others = one.pool().begin().await.unwrap();
    others.execute("ROLLBACK").await.unwrap();
    drop(others);
    match one.begin().await {
        Err(StoreError::Away { .. }) => {}
        answer => panic!("not away: {answer:?}"),
    }
    let tx = one.begin().await.unwrap();
    one.commit(tx).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_the_wait_for_the_writers_place_has_an_end() {
    let (_database, store, _) = databases::sqlite_store().await;
    let _writing = store.begin().await.unwrap();
    let began = Instant::now();
    let answer = store.insert(&new_key("k")).await;
    assert!(matches!(answer, Err(StoreError::Away { .. })), "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_call_that_was_given_up_frees_its_place_in_the_pool() {
    let (database, _, _) = databases::postgres_store().await;
    // By TLS, to close takes sqlx five seconds if nobody answers.
    let options: PgConnectOptions = database.url.parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(3));
    let pool = pool.connect_with(options.ssl_mode(PgSslMode::Disable)).await.unwrap();
    let one = Postgres::from_pool(pool, workflow_postgres::Options::default()).unwrap();
    let new = new_key("k");
    one.insert(&new).await.unwrap().unwrap();
    let lease = Lease { id: new.id, fence: 1 };

    // Somebody has the row for longer than anybody waits.
    let mut locker = PgConnection::connect(&database.url).await.unwrap();
    let mut lock = locker.begin().await.unwrap();
    lock.execute("SELECT 1 FROM workflow_idempotency_keys FOR UPDATE").await.unwrap();
    let patience = Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, one.settle(lease)).await.is_err());
    one.find(&key()).await.expect("a connection after a settle that was given up");
    let failure =
        Failure { seq: 1, step: "pay", attempt: 1, error: "away", in_doubt: false, cancelled: false };
    assert!(tokio::time::timeout(patience, one.fail(lease, failure, Then::Again(patience))).await.is_err());
    one.find(&key()).await.expect("a connection after an attempt that was given up");
    assert!(tokio::time::timeout(patience, one.release(lease, None)).await.is_err());
    one.find(&key()).await.expect("a connection after a release that was given up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_heartbeats_connection_is_not_waited_for_as_long_as_the_applications() {
    let five = Duration::from_secs(5);
    let (database, sqlite, _) = databases::sqlite_store().await;
    let pool = SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(30));
    let pool = pool.connect_lazy_with((*sqlite.pool().connect_options()).clone());
    let sqlite = Sqlite::from_pool(pool, workflow_sqlite::Options::default()).await.unwrap();
    assert_eq!(sqlite.heart().pool().options().get_acquire_timeout(), five);
    drop(database);
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(30));
    let pool = pool.connect_lazy("postgres://nobody@localhost/nowhere").unwrap();
    let postgres = Postgres::from_pool(pool, workflow_postgres::Options::default()).unwrap();
    assert_eq!(postgres.heart().pool().options().get_acquire_timeout(), five);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_closed_is_away() {
    let (_database, sqlite, _) = databases::sqlite_store().await;
    sqlite.pool().close().await;
    assert!(matches!(sqlite.find(&key()).await, Err(StoreError::Away { .. })));
    let (_database, postgres, _) = databases::postgres_store().await;
    postgres.pool().close().await;
    assert!(matches!(postgres.find(&key()).await, Err(StoreError::Away { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_of_a_store_has_no_url() {
    let (_database, sqlite, _) = databases::sqlite_store().await;
    let printed = format!("{sqlite:?} {:?}", sqlite.begin().await.unwrap());
    assert_eq!(printed, "Sqlite { names: Names { prefix: \"workflow_\" }, .. } Tx { .. }");
    let (_database, postgres, _) = databases::postgres_store().await;
    let printed = format!("{postgres:?} {:?}", postgres.begin().await.unwrap());
    assert_eq!(printed, "Postgres { names: Names { schema: None, prefix: \"workflow_\" }, .. } Tx { .. }");
}
