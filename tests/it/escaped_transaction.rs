//! A step that ends the runner's transaction, by whatever means: its point never moves without its writes, the key
//! stays claimable, and the pool stays whole.

use std::error::Error as _;
use std::future::Future;
use std::sync::Mutex;
use std::task::{Context, Waker};

use serde::{Deserialize, Serialize};
use sqlx::{Connection, Executor};
use workflow::{Key, RecoveryPoint, Runner, Store, Workflow};

use crate::databases;

#[derive(Clone, Serialize, Deserialize)]
struct Ask;

impl RecoveryPoint for Ask {
    const NAME: &'static str = "started";
}

/// What the step does to the transaction it is given, between its write and its end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Well,
    NestedWell,
    NestedDropped,
    BeginDropped,
    NestedForgotten,
    Raw(&'static str),
    /// A statement that fails, and whose failure the step ignores, or passes on.
    Ignored(&'static str),
    PassedOn(&'static str),
}
use How::*;

struct App(Mutex<How>);

const TABLES: &str = "CREATE TABLE written (what text NOT NULL); CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int PRIMARY KEY REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO parent VALUES (1)";
const WRITE: &str = "INSERT INTO written VALUES ('by the step')";
const WRITTEN: &str = "SELECT count(*) FROM written";
const OR_ROLLBACK: &str = "INSERT OR ROLLBACK INTO parent VALUES (1)";
/// Its COMMIT fails.
const ORPHAN: &str = "INSERT INTO child VALUES (2)";

/// Sends what the future sends first, and drops it. Whether it was on its way: SQLite's thread may be done at once.
fn dropped_on_its_way<T>(future: impl Future<Output = T>) -> bool {
    let mut future = Box::pin(future);
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

macro_rules! on {
    ($database:ident, $store:ident, $conn:ty) => {
        mod $database {
            use super::*;
            use workflow::{Atomic, Response, Step};

            async fn write(cx: Atomic<'_, $conn, App, Ask>, _: Ask) -> Step<Response> {
                let how = *cx.app.0.lock().unwrap();
                cx.conn.execute(WRITE).await?;
                match how {
                    Well => {}
                    NestedWell => {
                        let mut nested = cx.conn.begin().await?;
                        nested.execute(WRITE).await?;
                        nested.commit().await?;
                    }
                    NestedDropped => {
                        let mut nested = cx.conn.begin().await?;
                        nested.execute(WRITE).await?;
                    }
                    BeginDropped => while !dropped_on_its_way(cx.conn.begin()) {},
                    NestedForgotten => std::mem::forget(cx.conn.begin().await?),
                    Raw(sql) | PassedOn(sql) => {
                        cx.conn.execute(sql).await?;
                    }
                    Ignored(sql) => assert!(cx.conn.execute(sql).await.is_err()),
                }
                Ok(Response::empty(204))
            }

            fn writing() -> Workflow<$conn, App, Ask> {
                Workflow::new("writing").atomic("write", write).build()
            }

            /// The answer to a run that does this, as the text of its chain of errors, and what is written then.
            pub(super) async fn does(how: How) -> (Result<(), String>, i64) {
                let (_database, store, _) = databases::$store().await;
                let tables = sqlx::raw_sql(TABLES).execute(store.pool()).await;
                tables.unwrap();
                let runner =
                    Runner::builder(store.clone(), App(Mutex::new(how))).with(writing).build().unwrap();
                let answer =
                    runner.run(writing, key("k"), Ask).await.map(drop).map_err(|error| chain(&error));
                let written: i64 = sqlx::query_scalar(WRITTEN).fetch_one(store.pool()).await.unwrap();
                match &answer {
                    Ok(()) => assert_eq!(standing(&store).await, "finished finished 1"),
                    Err(_) => assert_eq!(standing(&store).await, "running started 0"),
                }
                // The pool is whole: this key, and others, go on at once.
                let well =
                    Runner::builder(store.clone(), App(Mutex::new(Well))).with(writing).build().unwrap();
                for n in 0..10 {
                    let other = well.run(writing, key(&format!("other {n}")), Ask).await;
                    other.unwrap_or_else(|error| panic!("after {how:?}, call {n}: {}", chain(&error)));
                }
                let again = well.run(writing, key("k"), Ask).await.unwrap();
                assert_eq!((again.status(), again.replayed()), (204, answer.is_ok()));
                let all: i64 = sqlx::query_scalar(WRITTEN).fetch_one(store.pool()).await.unwrap();
                assert_eq!(all, written + 10 + i64::from(answer.is_err()));
                (answer, written)
            }
        }
    };
}

on!(sqlite, sqlite_store, sqlx::SqliteConnection);
on!(postgres, postgres_store, sqlx::PgConnection);

fn key(value: &str) -> Key {
    Key::new("tenant", value).unwrap()
}

fn chain(error: &workflow::Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Status, point and number of points of the key; it must be free.
async fn standing(store: &impl Store) -> String {
    let row = store.find(&key("k")).await.unwrap().unwrap();
    assert!(row.lease_left.is_zero());
    let points = store.journal(&[row.id]).await.unwrap().len();
    format!("{} {} {points}", row.status, row.recovery_point)
}

fn assert_escaped((answer, written): (Result<(), String>, i64), expected: i64) {
    let error = answer.expect_err("the transaction has ended, but the point moved");
    assert!(error.contains("has ended the runner's transaction"), "{error}");
    assert_eq!(written, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_nested_transaction_within_a_step_is_fine() {
    assert_eq!(sqlite::does(NestedWell).await, (Ok(()), 2));
    assert_eq!(sqlite::does(NestedDropped).await, (Ok(()), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_nested_transaction_within_a_step_is_fine() {
    assert_eq!(postgres::does(NestedWell).await, (Ok(()), 2));
    assert_eq!(postgres::does(NestedDropped).await, (Ok(()), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_step_that_drops_a_nested_begin_moves_nothing() {
    assert_escaped(sqlite::does(BeginDropped).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_step_that_drops_a_nested_begin_moves_nothing() {
    assert_escaped(postgres::does(BeginDropped).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_step_that_forgets_a_nested_transaction_moves_nothing() {
    assert_escaped(sqlite::does(NestedForgotten).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_step_that_forgets_a_nested_transaction_moves_nothing() {
    assert_escaped(postgres::does(NestedForgotten).await, 0);
}

/// What a raw COMMIT has committed stays; only the point can be kept from following it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_step_that_ends_the_transaction_itself_moves_nothing() {
    assert_escaped(sqlite::does(Raw("ROLLBACK")).await, 0);
    assert_escaped(sqlite::does(Raw("COMMIT")).await, 1);
    assert_escaped(sqlite::does(Raw("COMMIT; BEGIN")).await, 1);
    assert_escaped(sqlite::does(Ignored(OR_ROLLBACK)).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_step_that_ends_the_transaction_itself_moves_nothing() {
    assert_escaped(postgres::does(Raw("ROLLBACK")).await, 0);
    assert_escaped(postgres::does(Raw("COMMIT")).await, 1);
    assert_escaped(postgres::does(Raw("COMMIT; BEGIN")).await, 1);
    assert_escaped(postgres::does(Raw("ROLLBACK AND CHAIN")).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_statement_that_rolls_back_and_fails_leaves_the_pool_whole() {
    let (answer, written) = sqlite::does(PassedOn(OR_ROLLBACK)).await;
    assert!(answer.unwrap_err().contains("UNIQUE"));
    assert_eq!(written, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite_a_commit_that_fails_leaves_the_pool_whole() {
    let (answer, written) = sqlite::does(Raw(ORPHAN)).await;
    assert!(answer.unwrap_err().contains("FOREIGN KEY"));
    assert_eq!(written, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_commit_that_fails_leaves_the_pool_whole() {
    let (answer, written) = postgres::does(Raw(ORPHAN)).await;
    assert!(answer.unwrap_err().contains("foreign key"));
    assert_eq!(written, 0);
}
