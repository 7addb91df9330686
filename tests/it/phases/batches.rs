//! The crash matrix of group commit: the connection of each batch in turn breaks, under many runs at once.

use std::time::Duration;

use workflow::{Answered, Error, Runner};
use workflow_postgres::{Options, Postgres};

use super::shop::{Act, Point, Shop, checked, journal, key, mixed, noted};
use super::stage::{self, Stage};
use crate::proxy::{Break, Proxy};

const RUNS: usize = 20;

/// How often the foreign step `f` fails, so that leases are given back together, too.
const FAILURES: usize = 5;

/// The least batches that the runs make: claims, points of `f`, leases given back, responses of `g`.
const BATCHES: usize = 4;

/// Runs all with the wire broken at one batch. Returns whether there were so many batches.
async fn outlives(stage: &Stage<Postgres>, batch: usize, how: Break) -> bool {
    let proxy = Proxy::before(&stage.database.as_ref().unwrap().url).await;
    let store = Postgres::connect(&proxy.url, Options::default().pool_size(4)).await.unwrap();
    let shop = Shop::acting("f", Act::Fail, FAILURES);
    // A batch that is not answered within five seconds is in doubt: then there is lease enough left to settle it.
    let runner = shop.builder(&store).lease(Duration::from_secs(15)).patience(Duration::from_secs(20));
    let runner = runner.build().unwrap();
    proxy.break_at_batch(batch, how);
    let runs = (0..RUNS).map(|n| {
        let (runner, name) = (runner.clone(), format!("{how:?}-{batch}-{n}"));
        tokio::spawn(async move {
            loop {
                match run(&runner, &name, n).await {
                    Err(Error::Step { step: "f", .. }) => {}
                    answer => return answer.unwrap_or_else(|error| panic!("{name}: {error:?}")),
                }
            }
        })
    });
    for (n, run) in futures_util::future::join_all(runs).await.into_iter().enumerate() {
        let (answered, key) = (run.unwrap(), key(&format!("{how:?}-{batch}-{n}")));
        assert_eq!((answered.status(), answered.replayed()), (200, false), "{key:?}");
        let (notes, points) = match n % 2 {
            0 => ("ab", "a>one f>two b>three g>finished"),
            _ => ("bcde", "f>one b>two c>three d>four e>finished"),
        };
        assert_eq!(noted(&stage.store, &key).await, notes, "{how:?} at batch {batch}");
        assert_eq!(journal(&stage.store, &key).await, points, "{how:?} at batch {batch}");
    }
    let mut effects = shop.effects("f");
    assert_eq!(
        effects.len(),
        RUNS + FAILURES,
        "{how:?} at batch {batch}: no call but the failed ones is repeated"
    );
    effects.sort();
    effects.dedup();
    assert_eq!((effects.len(), shop.effects("g").len()), (RUNS, RUNS / 2), "{how:?} at batch {batch}");
    proxy.broken() > 0
}

async fn run(runner: &Runner<Postgres, Shop>, name: &str, n: usize) -> Result<Answered, Error> {
    match n % 2 {
        0 => runner.run(mixed, key(name), Point::default()).await,
        _ => runner.run(checked, key(name), Point::default()).await,
    }
}

async fn at_each_batch(how: Break) {
    let stage = stage::open::<Postgres>().await;
    let mut batch = 1;
    while outlives(&stage, batch, how).await {
        batch += 1;
    }
    assert!(batch > BATCHES, "only {} batches were tried", batch - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_may_never_reach_the_server() {
    at_each_batch(Break::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_may_be_committed_after_its_connection_is_gone() {
    at_each_batch(Break::Late).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_may_be_committed_without_a_reply() {
    at_each_batch(Break::After).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_may_be_answered_by_silence() {
    let stage = stage::open::<Postgres>().await;
    // Each waits for five seconds: all at once.
    let silences = (1..=BATCHES).map(|batch| outlives(&stage, batch, Break::Freeze));
    let fired = futures_util::future::join_all(silences).await;
    assert_eq!(fired, [true; BATCHES]);
}
