//! The wire to PostgreSQL breaks while a commit is under way. Nobody knows whether it happened until the row is read
//! under its lock; then the run goes on, and everything has happened once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Executor, PgConnection, PgPool};
use workflow::{Atomic, Foreign, Key, RecoveryPoint, Response, Runner, Step, Workflow};
use workflow_postgres::{Options, Postgres};

use crate::databases;
use crate::proxy::{Break, Proxy};

#[derive(Clone, Serialize, Deserialize)]
struct Ask;

#[derive(Serialize, Deserialize)]
struct Counted;

#[derive(Serialize, Deserialize)]
struct Called {
    mark: String,
}

impl RecoveryPoint for Ask {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Counted {
    const NAME: &'static str = "counted";
}

impl RecoveryPoint for Called {
    const NAME: &'static str = "called";
}

#[derive(Default)]
struct Calls(AtomicU32);

async fn count(cx: Atomic<'_, PgConnection, Calls, Ask>, _: Ask) -> Step<Counted> {
    sqlx::query("INSERT INTO counted VALUES ($1)").bind(cx.key.value()).execute(cx.conn).await?;
    Ok(Counted)
}

async fn call(cx: Foreign<'_, Calls, Ask>, _: Counted) -> Step<Called> {
    cx.app.0.fetch_add(1, Ordering::SeqCst);
    Ok(Called { mark: "the mark of the call".to_owned() })
}

async fn answer(_: Foreign<'_, Calls, Ask>, called: Called) -> Step<Response> {
    Ok(Response::new(200, json!({ "the answer to": called.mark })))
}

fn counting() -> Workflow<PgConnection, Calls, Ask> {
    Workflow::new("counting").atomic("count", count).foreign("call", call).foreign("answer", answer).build()
}

/// What a client sends while the commit of each step is under way; the key's claim, too, is a commit of its own.
const COMMITS: [(&str, &[u8]); 4] = [
    ("the claim", b"tenant"),
    // With its end: `READ COMMITTED` begins alike.
    ("the commit of an atomic step", b"COMMIT\0"),
    ("the point of a foreign step", b"the mark of the call"),
    ("the response", b"the answer to"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_wire_breaks_is_settled_and_happens_once() {
    let database = databases::postgres().await;
    let outside = PgPool::connect(&database.url).await.unwrap();
    outside.execute("CREATE TABLE counted (key text NOT NULL)").await.unwrap();
    Postgres::open(&database.url).await.unwrap();
    let proxy = Proxy::before(&database.url).await;

    for how in [Break::Before, Break::After, Break::Late, Break::Freeze] {
        for (at, bytes) in COMMITS {
            let store = Postgres::connect(&proxy.url, Options::default().pool_size(4)).await.unwrap();
            let calls = Arc::new(Calls::default());
            // A call that is not answered within five seconds is in doubt: then there is lease enough left to settle
            // it.
            let runner = Runner::builder(store, calls.clone()).with(counting).lease(Duration::from_secs(10));
            let runner = runner.patience(Duration::from_secs(20));
            let runner = runner.build().unwrap();
            let key = Key::new("tenant", format!("{how:?} {at}")).unwrap();
            let broken = proxy.broken();
            proxy.break_at(bytes, how);

            let answered = runner.run(counting, key.clone(), Ask).await;
            let answered = answered.unwrap_or_else(|error| panic!("{how:?} {at}: {error:?}"));
            assert_eq!(proxy.broken(), broken + 1, "{how:?} {at}: the wire was not broken");
            assert_eq!(answered.body(), br#"{"the answer to":"the mark of the call"}"#, "{how:?} {at}");
            assert_eq!(calls.0.load(Ordering::SeqCst), 1, "{how:?} {at}: calls");
            let counted: i64 = sqlx::query_scalar("SELECT count(*) FROM counted WHERE key = $1")
                .bind(key.value())
                .fetch_one(&outside)
                .await
                .unwrap();
            assert_eq!(counted, 1, "{how:?} {at}: the atomic step's writes");
            let standing = runner.status(&key).await.unwrap().unwrap();
            let journal = runner.journal(&[standing.id]).await.unwrap();
            let points: Vec<_> = journal.iter().map(|point| point.name.as_str()).collect();
            assert_eq!(points, ["counted", "called", "finished"], "{how:?} {at}");
        }
    }
}
