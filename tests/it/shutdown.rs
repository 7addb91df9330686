//! The shutdown of a runner: it ends after the step that it is in, and another goes on at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use workflow::seam::Status;
use workflow::{
    Answered, Atomic, Error, Foreign, Halt, Key, RecoveryPoint, Response, Retry, Runner, Step, Workflow,
};

use crate::phases::everywhere;
use crate::phases::stage::{Noted, Notes, Stage};

/// So long that a test which waits for it fails.
const LONG: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(30);

#[derive(Clone, Serialize, Deserialize)]
struct Ask;

#[derive(Serialize, Deserialize)]
struct Called;

impl RecoveryPoint for Ask {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Called {
    const NAME: &'static str = "called";
}

/// A step that is held, and fails as often as it is told to.
struct Shop {
    arrived: Semaphore,
    gate: Semaphore,
    fails: AtomicUsize,
    calls: AtomicUsize,
}

impl Shop {
    fn failing(times: usize) -> Arc<Self> {
        let [arrived, gate] = [Semaphore::new(0), Semaphore::new(0)];
        Arc::new(Self { arrived, gate, fails: AtomicUsize::new(times), calls: AtomicUsize::new(0) })
    }

    async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

async fn call(cx: Foreign<'_, Shop, Ask>, _: Ask) -> Step<Called> {
    cx.app.calls.fetch_add(1, Ordering::SeqCst);
    cx.app.arrived.add_permits(1);
    cx.app.gate.acquire().await?.forget();
    let left = |left: usize| left.checked_sub(1);
    if cx.app.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
        Err(Halt::of("away"))?;
    }
    Ok(Called)
}

async fn note<C: Notes>(cx: Atomic<'_, C, Shop, Ask>, _: Called) -> Step<Response> {
    cx.conn.note("done").await.map_err(Halt::of)?;
    Ok(Response::empty(204))
}

fn calling<C: Notes>() -> Workflow<C, Shop, Ask> {
    let patiently = Retry::times(5).backoff(LONG, 1.0, LONG).in_place(LONG);
    Workflow::new("calling")
        .foreign("call", call)
        .retry(patiently)
        .checkpoint()
        .atomic("note", note::<C>)
        .build()
}

fn runner<S: Noted>(stage: &Stage<S>, shop: &Arc<Shop>) -> Runner<S, Shop> {
    let runner = Runner::builder(stage.store.clone(), shop.clone()).lease(LONG).heartbeat(LONG / 3);
    runner.with(calling::<S::Conn>).build().unwrap()
}

fn key(name: &str) -> Key {
    Key::new("tenant", name).unwrap()
}

/// Begins a run, and returns when it is in its step.
async fn in_its_step<S: Noted>(
    runner: &Runner<S, Shop>,
    shop: &Shop,
) -> tokio::task::JoinHandle<Result<Answered, Error>> {
    let run = tokio::spawn(runner.run(calling::<S::Conn>, key("k"), Ask));
    shop.arrived().await;
    run
}

async fn a_run_ends_after_its_step_and_another_process_goes_on_at_once<S: Noted>(stage: Stage<S>) {
    let shop = Shop::failing(0);
    let (ending, other) = (runner(&stage, &shop), runner(&stage, &shop));
    shop.gate.add_permits(1);
    let before = ending.run(calling::<S::Conn>, key("before"), Ask).await.unwrap();
    shop.arrived().await;
    let run = in_its_step(&ending, &shop).await;
    assert!(!ending.shutdown(Duration::ZERO).await, "its step is under way");
    let refused = ending.run(calling::<S::Conn>, key("new"), Ask).await;
    assert!(matches!(refused, Err(Error::Interrupted)), "{refused:?}");
    assert!(other.status(&key("new")).await.unwrap().is_none(), "it left something behind");
    let replayed = ending.run(calling::<S::Conn>, key("before"), Ask).await.unwrap();
    assert!(replayed.replayed() && replayed.status() == before.status());
    shop.gate.add_permits(1);
    assert!(ending.shutdown(SOON).await);
    assert!(matches!(run.await.unwrap(), Err(Error::Interrupted)));
    let left = other.status(&key("k")).await.unwrap().unwrap();
    assert_eq!((left.recovery_point.as_str(), left.leased, left.attempts), ("called", false, 0));
    let done = other.run(calling::<S::Conn>, key("k"), Ask).await.unwrap();
    assert_eq!((done.ran(), done.skipped()), (&["note"][..], &["call"][..]));
    assert_eq!((shop.calls.load(Ordering::SeqCst), stage.store.notes().await.len()), (2, 2));
}

async fn a_run_that_pauses_leaves_its_key_waiting<S: Noted>(stage: Stage<S>) {
    let shop = Shop::failing(1);
    let (ending, other) = (runner(&stage, &shop), runner(&stage, &shop));
    let run = in_its_step(&ending, &shop).await;
    shop.gate.add_permits(1);
    assert!(ending.shutdown(SOON).await);
    let left = run.await.unwrap();
    assert!(matches!(left, Err(Error::Waiting { .. })), "{left:?}");
    let left = other.status(&key("k")).await.unwrap().unwrap();
    assert_eq!((left.status, left.leased, left.step_attempts), (Status::Waiting, false, 1));
    assert_eq!(left.last_error.as_deref(), Some("away"));
    assert!(other.unpark(&key("k")).await.unwrap());
    shop.gate.add_permits(1);
    assert_eq!(other.run(calling::<S::Conn>, key("k"), Ask).await.unwrap().status(), 204);
}

async fn a_runner_without_a_run_is_shut_down_at_once<S: Noted>(stage: Stage<S>) {
    let runner = runner(&stage, &Shop::failing(0));
    assert!(runner.shutdown(SOON).await);
    assert!(matches!(runner.run(calling::<S::Conn>, key("k"), Ask).await, Err(Error::Interrupted)));
    assert!(matches!(runner.resume(key("k")).await, Err(Error::UnknownKey { .. })));
}

everywhere!(
    a_run_ends_after_its_step_and_another_process_goes_on_at_once,
    a_run_that_pauses_leaves_its_key_waiting,
    a_runner_without_a_run_is_shut_down_at_once,
);
