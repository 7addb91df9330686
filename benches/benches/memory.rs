//! The runner over the store in memory: its own cost, without a database's.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to say")]

use std::time::{Duration, Instant};

use benches::payload::Request;
use benches::workflows::{App, atomic, foreign};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use workflow::{Defines, Key, Runner};
use workflow_testkit::{Memory, MemoryConn};

/// A store takes so many runs, and then there is a new one: a transaction in memory copies all that is in it.
const RUNS: u64 = 64;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn runner<W: Defines<MemoryConn, App, Request>>(workflow: W) -> Runner<Memory, App> {
    Runner::builder(Memory::new(), App::new(100)).with(workflow).build().unwrap()
}

fn key(run: u64) -> Key {
    Key::new("bench", format!("key-{run}")).unwrap()
}

/// So many runs of fresh keys.
async fn fresh<W: Defines<MemoryConn, App, Request>>(workflow: W, runs: u64) -> Duration {
    let mut time = Duration::ZERO;
    for first in (0..runs).step_by(RUNS as usize) {
        let runner = runner(workflow);
        let calls = (first..runs.min(first + RUNS)).map(|run| (key(run), Request::new(run)));
        let calls: Vec<_> = calls.collect();
        let began = Instant::now();
        for (key, request) in calls {
            runner.run(workflow, key, request).await.unwrap();
        }
        time += began.elapsed();
    }
    time
}

/// So many calls for a key that is finished.
async fn replays(calls: u64) -> Duration {
    let (runner, request) = (runner(foreign), Request::new(1));
    runner.run(foreign, key(1), request.clone()).await.unwrap();
    let calls: Vec<_> = (0..calls).map(|_| (key(1), request.clone())).collect();
    let began = Instant::now();
    for (key, request) in calls {
        assert!(runner.run(foreign, key, request).await.unwrap().replayed());
    }
    began.elapsed()
}

fn memory(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("memory");
    group.bench_function("foreign5", |b| {
        b.to_async(&runtime).iter_custom(|runs| fresh(foreign, runs));
    });
    group.bench_function("atomic5", |b| b.to_async(&runtime).iter_custom(|runs| fresh(atomic, runs)));
    group.bench_function("replay", |b| b.to_async(&runtime).iter_custom(replays));
    group.finish();
}

criterion_group!(benches, memory);
criterion_main!(benches);
