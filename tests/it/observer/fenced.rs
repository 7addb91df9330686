//! Takeovers, zombies that the fence keeps out, and the cancel, which is none.

use workflow::{Answered, Error, Key, Runner};
use workflow_testkit::{Fault, Faulty, How};

use super::shop::{Act, LEASE, Log, Shop, bought, key};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Notes, Stage};

type Run = tokio::task::JoinHandle<Result<Answered, Error>>;

fn started<S: workflow::Store<Conn: Notes>>(runner: &Runner<S, Shop>, key: &Key) -> Run {
    let (runner, key) = (runner.clone(), key.clone());
    tokio::spawn(async move { bought(&runner, &key).await })
}

async fn a_zombie_that_wakes_in_a_foreign_step_is_taken_over_and_fenced<S: Noted>(stage: Stage<S>) {
    let (frozen, log, other, key) = (Shop::told(&[Act::Hold]), Log::default(), Log::default(), key());
    let zombie = started(&frozen.runner(&stage.store, &log), &key);
    frozen.arrived().await;
    stage.clock.advance(LEASE);
    let successor = Shop::told(&[]).runner(&S::again(&stage).await, &other);
    bought(&successor, &key).await.unwrap();
    assert_eq!(other.take(), ["claimed takeover", "charge reached", "ship reached", "ended finished"]);
    frozen.open();
    let lost = zombie.await.unwrap().unwrap_err();
    assert!(matches!(lost, Error::LeaseLost { .. }), "{lost}");
    let told =
        ["claimed fresh", "reserve reached", "charge reached", "fenced", "lease lost", "ended lease_lost"];
    assert_eq!(log.take(), told);
}

/// Frozen where the first transaction begins: the call after the claim.
async fn a_zombie_that_wakes_before_an_atomic_step_is_fenced_at_its_commit<S: Noted>(stage: Stage<S>) {
    let (shop, log, key) = (Shop::told(&[]), Log::default(), key());
    let faulty = Faulty::new(S::again(&stage).await, [Fault { at: 2, how: How::Hold }]);
    let zombie = started(&shop.runner(&faulty, &log), &key);
    faulty.held().await;
    stage.clock.advance(LEASE);
    bought(&shop.runner(&stage.store, &Log::default()), &key).await.unwrap();
    faulty.let_go();
    zombie.await.unwrap().unwrap_err();
    assert_eq!(
        log.take(),
        ["claimed fresh", "reserve reached", "fenced", "lease lost", "ended lease_lost"],
        "the step ran, and its writes were rolled back"
    );
    assert_eq!(stage.store.notes().await, ["reserved"]);
}

async fn a_zombie_that_would_record_a_failure_is_fenced<S: Noted>(stage: Stage<S>) {
    let (shop, log, key) = (Shop::told(&[Act::Fail]), Log::default(), key());
    // Claim, begin, advance, commit, and then the failure.
    let faulty = Faulty::new(S::again(&stage).await, [Fault { at: 5, how: How::Hold }]);
    let zombie = started(&shop.runner(&faulty, &log), &key);
    faulty.held().await;
    assert_eq!(faulty.calls()[4..], ["fail"]);
    stage.clock.advance(LEASE);
    bought(&shop.runner(&stage.store, &Log::default()), &key).await.unwrap();
    faulty.let_go();
    zombie.await.unwrap().unwrap_err();
    assert_eq!(log.take()[2..], ["charge failed", "fenced", "lease lost", "ended lease_lost"]);
}

async fn what_was_given_back_is_no_takeover<S: Noted>(stage: Stage<S>) {
    let (log, key, shop) = (Log::default(), key(), Shop::told(&[Act::Busy, Act::Busy]));
    let runner = shop.runner(&stage.store, &log);
    for claimed in ["claimed fresh", "claimed resumed", "claimed resumed"] {
        let _ = bought(&runner, &key).await;
        assert_eq!(log.take()[0], claimed);
        stage.clock.advance(LEASE);
    }
}

/// The guard that refuses the run's advance is the same; what it has met is the cancel.
async fn a_cancel_under_a_run_tells_no_fenced_write_and_no_lost_lease<S: Noted>(stage: Stage<S>) {
    let (shop, log, other, key) = (Shop::told(&[Act::Hold]), Log::default(), Log::default(), key());
    let run = started(&shop.runner(&stage.store, &log), &key);
    shop.arrived().await;
    let elsewhere = shop.runner(&S::again(&stage).await, &other);
    let busy = elsewhere.cancel(key.clone(), None).await.unwrap_err();
    assert!(matches!(busy, Error::InProgress { .. }), "{busy}");
    assert_eq!(other.take(), ["refused in_progress"]);
    shop.open();
    run.await.unwrap().unwrap();
    assert_eq!(
        log.take(),
        [
            "claimed fresh",
            "reserve reached",
            "charge reached",
            "undo charge reached",
            "undo reserve reached",
            "ended undone",
        ]
    );
}

/// After the cancel has turned it round, another has taken it: what was refused before that was the cancel's.
async fn a_cancelled_run_that_loses_its_lease_later_is_not_fenced_by_the_cancel<S: Noted>(stage: Stage<S>) {
    let (shop, log, key) = (Shop::told(&[Act::Hold]), Log::default(), key());
    // Claim, begin, advance, commit, the refused advance, settle, and then the turn.
    let faulty = Faulty::new(S::again(&stage).await, [Fault { at: 7, how: How::Hold }]);
    let run = started(&shop.runner(&faulty, &log), &key);
    shop.arrived().await;
    let successor = shop.runner(&stage.store, &Log::default());
    successor.cancel(key.clone(), None).await.unwrap_err();
    shop.open();
    faulty.held().await;
    assert_eq!(faulty.calls()[4..], ["advance", "settle", "turn"]);
    stage.clock.advance(LEASE);
    bought(&successor, &key).await.unwrap();
    faulty.let_go();
    run.await.unwrap().unwrap_err();
    let told = log.take();
    assert_eq!(
        told[3..],
        ["fenced", "lease lost", "ended lease_lost"],
        "the turn was refused, once: {told:?}"
    );
}

everywhere! {
    a_zombie_that_wakes_in_a_foreign_step_is_taken_over_and_fenced,
    a_zombie_that_wakes_before_an_atomic_step_is_fenced_at_its_commit,
    a_zombie_that_would_record_a_failure_is_fenced,
    what_was_given_back_is_no_takeover,
    a_cancel_under_a_run_tells_no_fenced_write_and_no_lost_lease,
    a_cancelled_run_that_loses_its_lease_later_is_not_fenced_by_the_cancel,
}
