//! Several processes want the same keys at the same time: each key is run once, by one of them, without a deadlock.
//!
//! How many is for the environment to say: `CROWD_KEYS`, `CROWD_AT_ONCE` (of each process), `CROWD_LEASE_MS`. A machine
//! on
//! which a run waits longer for a connection than its lease lasts is too small for what was asked of it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Executor, PgPool};
use workflow_postgres::Postgres;

use crate::databases;

const PROCESSES: usize = 4;

/// Keys that the first process has begun, and nobody has finished.
const UNDER_WAY: &str = "
    SELECT count(*) FROM notes AS begun WHERE step = 'order' AND process = 0
        AND NOT EXISTS (SELECT FROM notes WHERE key = begun.key AND step = 'ship')";

/// Keys with which another process has gone on.
const OVERTAKEN: &str = "SELECT count(*) FROM workflow_idempotency_keys WHERE fence > 1";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// One of the crowd. It ends with the test.
struct Process(Child);

impl Process {
    fn start(url: &str, number: usize, keys: u64, lease: u64) -> Self {
        let at_once = setting("CROWD_AT_ONCE", 64);
        let child = Command::new(env!("CARGO_BIN_EXE_crowd"))
            .arg(url)
            .args([number.to_string(), keys.to_string(), at_once.to_string(), lease.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// Waits until it is ready.
    fn ready(&mut self) {
        let mut ready = [0; 6];
        self.0.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
    }

    fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits for all its responses.
    fn sold(mut self) -> String {
        let mut sold = String::new();
        self.0.stdout.as_mut().unwrap().read_to_string(&mut sold).unwrap();
        assert!(self.0.wait().unwrap().success(), "a run has ended in an error");
        sold
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_processes_that_want_the_same_keys_each_key_is_run_by_one() {
    let (keys, lease) = (setting("CROWD_KEYS", 600), setting("CROWD_LEASE_MS", 2000));
    let database = databases::postgres().await;
    let outside = PgPool::connect(&database.url).await.unwrap();
    // Without a constraint: what happens twice is counted.
    outside
        .execute("CREATE TABLE notes (key text, step text, process int); CREATE TABLE calls (key text, effect_key uuid)")
        .await
        .unwrap();
    Postgres::open(&database.url).await.unwrap();
    let mut crowd: Vec<_> =
        (0..PROCESSES).map(|number| Process::start(&database.url, number, keys, lease)).collect();
    crowd.iter_mut().for_each(Process::ready);
    crowd.iter_mut().for_each(Process::go);

    // One of them is frozen in the middle of its runs, until the others have gone on with some of those. Then it wakes.
    let frozen = Pid::from_raw(i32::try_from(crowd[0].0.id()).unwrap());
    loop {
        until(&outside, UNDER_WAY).await;
        kill(frozen, Signal::SIGSTOP).unwrap();
        // What it had sent may still be committed: it has two connections.
        if count(&outside, UNDER_WAY).await > 2 {
            break;
        }
        kill(frozen, Signal::SIGCONT).unwrap();
    }
    until(&outside, OVERTAKEN).await;
    kill(frozen, Signal::SIGCONT).unwrap();

    let sold = crowd.into_iter().map(|process| tokio::task::spawn_blocking(|| process.sold()));
    let sold: Vec<_> = futures_util::future::join_all(sold).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(sold[0].lines().count() as u64, keys);
    assert!(sold.iter().all(|others| *others == sold[0]), "the same bytes for everybody");

    let keys = i64::try_from(keys).unwrap();
    let finished = "SELECT count(*) FROM workflow_idempotency_keys WHERE status = 'finished'";
    assert_eq!(count(&outside, finished).await, keys);
    for step in ["order", "pack", "ship"] {
        let written = format!("SELECT count(*) FROM notes WHERE step = '{step}'");
        assert_eq!(count(&outside, &written).await, keys, "{step}");
        let written = format!("SELECT count(DISTINCT key) FROM notes WHERE step = '{step}'");
        assert_eq!(count(&outside, &written).await, keys, "{step}");
    }
    assert_eq!(count(&outside, "SELECT count(*) FROM workflow_recovery_points").await, 3 * keys);
    assert_eq!(count(&outside, "SELECT count(DISTINCT key) FROM calls").await, keys);
    assert_eq!(
        count(&outside, "SELECT count(DISTINCT effect_key) FROM calls").await,
        keys,
        "one effect key a key"
    );
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(count(&outside, deadlocks).await, 0);
}

/// Waits until there are some.
async fn until(pool: &PgPool, sql: &str) {
    let some = async {
        while count(pool, sql).await < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), some).await.unwrap_or_else(|_| panic!("never: {sql}"));
}

async fn count(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
}
