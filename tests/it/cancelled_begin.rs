//! A caller that is dropped while a transaction begins leaves no open transaction in the pool: sqlx 0.9.0 alone does,
//! and what is written on that connection next is lost without a word.

use std::future::Future;
use std::task::{Context, Waker};

use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use workflow::Store;
use workflow_postgres::{Options, Postgres};

use crate::databases;

/// Polls a future so many times and drops it.
async fn cancelled<T>(future: impl Future<Output = T>, polls: usize) -> bool {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// Writes through the pool and looks from outside: a write inside somebody's forgotten transaction is not seen.
async fn assert_writes_are_kept(pool: &PgPool, watcher: &PgPool, round: i64) {
    sqlx::query("INSERT INTO kept VALUES ($1)")
        .bind(round)
        .execute(pool)
        .await
        .expect("a write after a cancel");
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM kept WHERE round = $1")
        .bind(round)
        .fetch_one(watcher)
        .await
        .expect("a look from outside");
    assert_eq!(seen, 1, "the write was made inside a transaction that nobody will commit (round {round})");
}

/// A proxy-free way to a slow `BEGIN`: a pool of one connection, cancelled after 1, 2, 3 … polls.
async fn fixture() -> (databases::Database, PgPool) {
    let database = databases::postgres().await;
    let watcher = PgPool::connect(&database.url).await.expect("connects");
    watcher.execute("CREATE TABLE kept (round bigint)").await.expect("creates");
    (database, watcher)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_begin_of_the_store_leaves_the_pool_clean() {
    let (database, watcher) = fixture().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.url).await.expect("connects");
    let store = Postgres::from_pool(pool.clone(), Options::default()).expect("a store");
    let mut cut_short = 0;
    for polls in 1..40 {
        if !cancelled(store.begin(), polls).await {
            cut_short += 1;
        }
        assert_writes_are_kept(&pool, &watcher, polls as i64).await;
    }
    assert!(cut_short > 0, "no begin was cancelled on its way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_begin_of_other_code_leaves_a_guarded_pool_clean() {
    let (database, watcher) = fixture().await;
    let options = workflow_postgres::guarded(PgPoolOptions::new().max_connections(1));
    let pool = options.connect(&database.url).await.expect("connects");
    for polls in 1..40 {
        cancelled(pool.begin(), polls).await;
        assert_writes_are_kept(&pool, &watcher, polls as i64).await;
    }
}
