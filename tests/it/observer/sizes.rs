//! How many writes the group commits of a store carry: all that go through them, each once.

use std::sync::{Arc, Mutex};

use workflow::{Key, Store};
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use super::shop::{Log, Shop, bought};
use crate::phases::stage::{Noted, Notes};

const RUNS: usize = 20;

/// Of each run the claim, the point of `charge` and the response of `ship`. The step `reserve` has a transaction.
const WRITES: usize = 3;

async fn runs_at_once<S: Store<Conn: Notes>>(store: &S, sizes: &Mutex<Vec<usize>>) {
    let runner = Shop::told(&[]).runner(store, &Log::default());
    let runs = (0..RUNS).map(|n| {
        let (runner, key) = (runner.clone(), Key::new("tenant", format!("k{n}")).unwrap());
        tokio::spawn(async move { bought(&runner, &key).await })
    });
    for run in futures_util::future::join_all(runs).await {
        run.unwrap().unwrap();
    }
    let sizes = sizes.lock().unwrap();
    assert_eq!(sizes.iter().sum::<usize>(), RUNS * WRITES, "{sizes:?}");
    assert!(!sizes.contains(&0), "{sizes:?}");
}

fn noting() -> (Arc<Mutex<Vec<usize>>>, impl Fn(usize) + Send + Sync + 'static) {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let told = sizes.clone();
    (sizes, move |writes| told.lock().unwrap().push(writes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_tells_every_write_of_its_group_commits() {
    let stage = <Sqlite as Noted>::open().await;
    let (sizes, tell) = noting();
    let options = workflow_sqlite::Options::default().on_commit(tell);
    let store = Sqlite::connect(&stage.database.as_ref().unwrap().url, options).await.unwrap();
    runs_at_once(&store, &sizes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_tells_every_write_of_its_group_commits() {
    let stage = <Postgres as Noted>::open().await;
    let (sizes, tell) = noting();
    let options = workflow_postgres::Options::default().on_commit(tell).pool_size(4);
    let store = Postgres::connect(&stage.database.as_ref().unwrap().url, options).await.unwrap();
    runs_at_once(&store, &sizes).await;
}
