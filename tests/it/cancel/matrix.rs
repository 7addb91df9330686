//! Cancelled wherever it stands, with faults at each call of the store: by the one who cancels, and by the run that has
//! the key. What was reached is undone once, in reverse order, every charge is given back, and there is one answer.
//!
//! A process that connects to PostgreSQL takes its time: there, not all of it is tried, unless `CANCEL_MATRIX=full` is set.

use std::sync::Arc;

use workflow::{Answered, Error, Key};
use workflow_testkit::{Fault, Faulty, How};

use super::shop::{Act, Cart, LEASE, Shop, by_the_caller, checkout, is_replayed, journal, key, noted};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

const HOWS: [How; 4] = [How::Before, How::After, How::AbandonBefore, How::AbandonAfter];

/// Where a key stands when it is cancelled.
#[derive(Debug, Clone, Copy)]
struct Standing {
    step: &'static str,
    acts: &'static [Act],
    journal: &'static str,
    charges: usize,
}

const STANDINGS: [Standing; 4] = [
    Standing { step: "reserve", acts: &[Act::Fail], journal: "reserve.cancelled finished", charges: 0 },
    Standing {
        step: "charge",
        acts: &[Act::Busy],
        journal: "reserved charge.cancelled reserve.undone finished",
        charges: 0,
    },
    // Nobody knows whether it was charged: the process is gone.
    Standing {
        step: "charge",
        acts: &[Act::HoldAfter],
        journal: "reserved paid charge.cancelled charge.undone reserve.undone finished",
        charges: 1,
    },
    Standing {
        step: "place",
        acts: &[Act::Fail],
        journal: "reserved paid place.cancelled charge.undone reserve.undone finished",
        charges: 1,
    },
];

async fn a_cancel_survives_a_fault_at_each_call<S: Noted>(stage: Stage<S>) {
    for (which, standing) in STANDINGS.into_iter().enumerate() {
        for (i, how) in HOWS.into_iter().enumerate() {
            let mut at = 1;
            loop {
                let fired = cancels(&stage, standing, &[Fault { at, how }]).await;
                if fired == 0 {
                    break;
                }
                at += if thins_out(&stage) { 3 + (i + which) % 3 } else { 1 };
            }
            assert!(at > 6, "{standing:?}, {how:?}: only {at} calls were tried");
        }
    }
}

async fn a_cancel_survives_two_faults<S: Noted>(stage: Stage<S>) {
    let stride = match stage.database {
        _ if thins_out(&stage) => 9,
        Some(_) => 3,
        None => 1,
    };
    for (i, first) in HOWS.into_iter().enumerate() {
        for second in [HOWS[(i + 1) % 4], HOWS[(i + 2) % 4]] {
            let mut at = 1;
            loop {
                let mut later = at + 1 + i % stride;
                let faults = |later| [Fault { at, how: first }, Fault { at: later, how: second }];
                // As long as both fire.
                while cancels(&stage, STANDINGS[2], &faults(later)).await == 2 {
                    later += stride;
                }
                if later == at + 1 + i % stride {
                    break;
                }
                at += stride;
            }
            assert!(at >= 6, "only {at} calls were tried");
        }
    }
}

async fn a_run_that_is_cancelled_survives_a_fault_at_each_call<S: Noted>(stage: Stage<S>) {
    for (i, how) in HOWS.into_iter().enumerate() {
        for after in [false, true] {
            let mut at = 1;
            loop {
                if turns_back(&stage, after, at, how).await == 0 {
                    break;
                }
                at += if thins_out(&stage) { 2 + i % 2 } else { 1 };
            }
            assert!(at > 5, "{how:?}: only {at} calls were tried");
        }
    }
}

fn thins_out<S>(stage: &Stage<S>) -> bool {
    let full = std::env::var_os("CANCEL_MATRIX").is_some_and(|wanted| wanted == "full");
    stage.database.as_ref().is_some_and(|database| !full && database.url.starts_with("postgres"))
}

/// Returns how many of these faults have fired.
async fn cancels<S: Noted>(stage: &Stage<S>, standing: Standing, faults: &[Fault]) -> usize {
    let places: Vec<_> = faults.iter().map(|fault| format!("{:?}{}", fault.how, fault.at)).collect();
    let key = key(&format!("{}-{:?}-{}", standing.step, standing.acts, places.join("-")));
    let shop = Shop::told(standing.step, &[standing.acts]);
    stands(stage, &shop, &key, standing.acts).await;
    let faulty = Faulty::new(stage.store.clone(), faults.iter().copied());
    let mut last = None;
    let answered = loop {
        assert!(last.is_none() || faulty.fired() > 0, "{key:?}: {last:?}");
        let process = faulty.over(S::again(stage).await);
        let cancel = shop.runner(&process).cancel(key.clone(), Some(by_the_caller()));
        match process.process(cancel).await {
            Some(Ok(answered)) => break answered,
            failed => last = Some(failed),
        }
        // Who died holds the lease until it runs out.
        stage.clock.advance(LEASE);
    };
    assert_eq!(answered.response(), &by_the_caller(), "{key:?}");
    // Whoever dies between claim and turn leaves an attempt of which nobody knows: it is made known, and given back.
    let asked = if shop.called("charge").len() > 1 { STANDINGS[2] } else { standing };
    is_taken_back(stage, &shop, &key, if standing.step == "charge" { asked } else { standing }).await;
    faulty.fired()
}

/// A key that nobody runs.
async fn stands<S: Noted>(stage: &Stage<S>, shop: &Arc<Shop>, key: &Key, acts: &[Act]) {
    let runner = shop.runner(&stage.store);
    if acts != [Act::HoldAfter] {
        let ended = runner.run(checkout::<S::Conn>, key.clone(), Cart).await.unwrap_err();
        assert!(matches!(ended, Error::Step { .. } | Error::Waiting { .. }), "{ended}");
        return;
    }
    shop.held(&runner, key).await.abort();
    stage.clock.advance(LEASE);
}

/// A run is held at its charge, and cancelled from elsewhere; this call of it after that fails.
async fn turns_back<S: Noted>(stage: &Stage<S>, after: bool, at: usize, how: How) -> usize {
    let acts: &[Act] = if after { &[Act::HoldAfter] } else { &[Act::HoldBefore] };
    let (shop, key) = (Shop::told("charge", &[acts]), key(&format!("{acts:?}-{how:?}{at}")));
    let before = {
        let counted = Faulty::new(stage.store.clone(), []);
        let (shop, counts) =
            (Shop::told("charge", &[acts]), super::shop::key(&format!("counts {}", key.value())));
        shop.held(&shop.runner(&counted), &counts).await.abort();
        counted.calls().len()
    };
    let faulty = Faulty::new(stage.store.clone(), [Fault { at: before + at, how }]);
    let process = faulty.over(S::again(stage).await);
    let run = {
        let (shop, process, key) = (shop.clone(), process.clone(), key.clone());
        tokio::spawn(async move {
            let run = shop.runner(&process).run(checkout::<S::Conn>, key, Cart);
            process.process(run).await
        })
    };
    shop.arrived().await;
    let elsewhere = shop.runner(&stage.store);
    let busy = elsewhere.cancel(key.clone(), Some(by_the_caller())).await;
    assert!(matches!(busy, Err(Error::InProgress { .. })), "{busy:?}");
    shop.open();
    let answered: Answered = match run.await.unwrap() {
        Some(Ok(answered)) => answered,
        _ => {
            stage.clock.advance(LEASE);
            elsewhere.resume(key.clone()).await.unwrap()
        }
    };
    assert_eq!(answered.response(), &by_the_caller(), "{key:?}");
    is_taken_back(stage, &shop, &key, STANDINGS[2]).await;
    faulty.fired()
}

async fn is_taken_back<S: Noted>(stage: &Stage<S>, shop: &Arc<Shop>, key: &Key, standing: Standing) {
    is_replayed(shop, &stage.store, key, &by_the_caller()).await;
    assert_eq!(journal(&stage.store, key).await, standing.journal, "{key:?}");
    let reserved = if standing.step == "reserve" { vec![] } else { vec!["released", "reserved"] };
    assert_eq!(noted(&stage.store, key).await, reserved, "{key:?}");
    assert_eq!(shop.charges(), (standing.charges, 0), "{key:?}");
    for name in ["charge", "refund"] {
        let mut keys = shop.called(name);
        keys.dedup();
        assert!(keys.len() <= 1, "{key:?}: {name} by {keys:?}");
    }
    assert!(shop.called("refund").is_empty() || shop.called("refund")[0] != shop.called("charge")[0]);
}

everywhere!(
    a_cancel_survives_a_fault_at_each_call,
    a_cancel_survives_two_faults,
    a_run_that_is_cancelled_survives_a_fault_at_each_call,
);
