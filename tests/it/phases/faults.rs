//! The store fails in a phase, at each of its calls: the foreign step whose point is carried is not called again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use workflow::{Answered, Error, Key};
use workflow_testkit::{Fault, Faulty, How, sweep};

use super::everywhere;
use super::shop::{LEASE, Point, Shop, journal, key, mixed, noted, tail};
use super::stage::{Noted, Stage};

/// Of `tail`: `insert`, `begin`, `advance_in`, `commit`.
const BEGIN: usize = 2;
const ADVANCE_IN: usize = 3;
const COMMIT: usize = 4;

/// Runs `tail` with one fault; everything has happened once.
async fn outlives<S: Noted>(stage: &Stage<S>, fault: Fault) -> (Faulty<S>, Arc<Shop>) {
    let (shop, store) = (Shop::open(), Faulty::new(stage.store.clone(), [fault]));
    let key = key(&format!("{:?}-{}", fault.how, fault.at));
    // So short that a call has five seconds.
    let runner = shop.builder(&store).lease(Duration::from_secs(10)).build().unwrap();
    let answered = runner.run(tail, key.clone(), Point::default()).await;
    let answered = answered.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
    assert_eq!((answered.status(), store.fired()), (200, 1), "{fault:?}");
    assert_eq!(answered.ran(), ["f", "b", "c", "d"], "{fault:?}");
    assert_eq!(shop.effects("f").len(), 1, "{fault:?}: the foreign step is not repeated");
    assert_eq!(noted(&stage.store, &key).await, "bcd", "{fault:?}");
    assert_eq!(journal(&stage.store, &key).await, "f>one b>two c>three d>finished", "{fault:?}");
    (store, shop)
}

async fn without_a_transaction_a_carried_point_is_written_by_itself<S: Noted>(stage: Stage<S>) {
    let (store, shop) = outlives(&stage, Fault { at: BEGIN, how: How::Before }).await;
    let expected = ["insert", "begin", "advance", "begin", "advance_in", "commit"];
    assert_eq!(store.calls(), expected);
    assert_eq!(shop.ran(), "fbcd");
}

async fn a_carried_point_does_not_wait_long_for_a_transaction<S: Noted>(stage: Stage<S>) {
    let began = Instant::now();
    let (store, _) = outlives(&stage, Fault { at: BEGIN, how: How::Hold }).await;
    assert_eq!(store.calls()[..3], ["insert", "begin", "advance"]);
    assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(4));
}

async fn a_commit_in_doubt_that_happened_is_found<S: Noted>(stage: Stage<S>) {
    let (store, shop) = outlives(&stage, Fault { at: COMMIT, how: How::After }).await;
    assert_eq!(store.calls(), ["insert", "begin", "advance_in", "commit", "settle"]);
    assert_eq!(shop.ran(), "fbcd");
}

async fn after_a_commit_that_failed_the_carried_point_is_written_first<S: Noted>(stage: Stage<S>) {
    for at in [ADVANCE_IN, COMMIT] {
        let (store, shop) = outlives(&stage, Fault { at, how: How::Before }).await;
        let calls = store.calls();
        let next = calls[at..].iter().find(|call| **call != "rollback");
        assert_eq!(next, Some(&"advance"), "{calls:?}");
        assert_eq!(calls.iter().filter(|call| **call == "commit").count(), if at == COMMIT { 4 } else { 3 });
        assert_eq!(shop.ran(), "fbcdbcd", "one commit a step");
    }
}

async fn a_call_in_a_phase_that_never_returns_is_given_up<S: Noted>(stage: Stage<S>) {
    for how in [How::Hold, How::AbandonAfter] {
        let (store, _) = outlives(&stage, Fault { at: COMMIT, how }).await;
        assert_eq!(store.calls()[COMMIT], "settle", "{how:?}");
    }
}

async fn a_process_that_dies_anywhere_repeats_the_call_by_the_same_key_and_writes_once<S: Noted>(
    stage: Stage<S>,
) {
    for how in [How::Before, How::After, How::AbandonBefore, How::AbandonAfter] {
        for workflow in ["tail", "mixed"] {
            let calls = sweep(how, async |fault| survives(&stage, workflow, fault).await).await;
            assert!(calls >= 4, "{how:?}: only {calls} calls were tried");
        }
    }
}

async fn survives<S: Noted>(stage: &Stage<S>, workflow: &str, fault: Fault) -> usize {
    let (shop, store) = (Shop::open(), Faulty::new(stage.store.clone(), [fault]));
    let key = key(&format!("{workflow}-{:?}-{}", fault.how, fault.at));
    let answered = match lived(stage, &shop, &store, workflow, &key).await {
        Some(Ok(answered)) => answered,
        other => {
            // Who died holds the lease until it runs out.
            stage.clock.advance(if other.is_none() { LEASE } else { Duration::ZERO });
            let again = lived(stage, &shop, &store, workflow, &key).await;
            again.expect("a process dies once").unwrap_or_else(|error| panic!("{fault:?}: {error:?}"))
        }
    };
    assert_eq!(answered.status(), 200, "{fault:?}");
    let (steps, points, calls) = match workflow {
        "tail" => ("bcd", "f>one b>two c>three d>finished", &["f"][..]),
        _ => ("ab", "a>one f>two b>three g>finished", &["f", "g"][..]),
    };
    assert_eq!(noted(&stage.store, &key).await, steps, "{workflow} {fault:?}");
    assert_eq!(journal(&stage.store, &key).await, points, "{workflow} {fault:?}");
    for step in calls {
        let mut effects = shop.effects(step);
        assert!(effects.len() <= 2, "{workflow} {fault:?}: {step} was called {} times", effects.len());
        effects.dedup();
        assert_eq!(effects.len(), 1, "{workflow} {fault:?}: {step} by another key");
    }
    store.fired()
}

/// A process with connections of its own. `None` if it died.
async fn lived<S: Noted>(
    stage: &Stage<S>,
    shop: &Arc<Shop>,
    store: &Faulty<S>,
    workflow: &str,
    key: &Key,
) -> Option<Result<Answered, Error>> {
    let process = store.over(S::again(stage).await);
    let runner = shop.runner(&process);
    match workflow {
        "tail" => process.process(runner.run(tail, key.clone(), Point::default())).await,
        _ => process.process(runner.run(mixed, key.clone(), Point::default())).await,
    }
}

everywhere!(
    without_a_transaction_a_carried_point_is_written_by_itself,
    a_carried_point_does_not_wait_long_for_a_transaction,
    a_commit_in_doubt_that_happened_is_found,
    after_a_commit_that_failed_the_carried_point_is_written_first,
    a_call_in_a_phase_that_never_returns_is_given_up,
    a_process_that_dies_anywhere_repeats_the_call_by_the_same_key_and_writes_once,
);
