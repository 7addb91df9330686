//! Crashes: at each call of the store in turn the call fails, its reply is lost, or the process dies. Whatever
//! happens, a retry ends in the same response, with everything done once.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::sync::Arc;

use uuid::Uuid;
use workflow::seam::Status;
use workflow::{Answered, Error, Key, Store, Workflow};

use super::Factory;
use super::fixture::*;
use super::shop::{Act, Cart, ConnOf, Shop, any_cart, checkout, receipt, stubborn};
use crate::{Fault, Faulty, How, sweep};

/// A run that fails in its second step, one that goes on from there, and a replay: nearly every call that a runner
/// makes of a store.
const CALLS: usize = 13;

pub async fn every_call_may_find_the_database_away<F: Factory>(factory: F) {
    swept(factory, How::Before).await;
}

pub async fn the_reply_of_every_call_may_be_lost<F: Factory>(factory: F) {
    swept(factory, How::After).await;
}

pub async fn the_process_may_die_before_every_call<F: Factory>(factory: F) {
    swept(factory, How::AbandonBefore).await;
}

pub async fn the_process_may_die_after_every_call<F: Factory>(factory: F) {
    swept(factory, How::AbandonAfter).await;
}

/// Each step fails at its first attempt.
pub async fn what_is_tried_again_survives_a_fault_at_every_call<F: Factory>(factory: F) {
    for how in [How::Before, How::After, How::AbandonBefore, How::AbandonAfter] {
        let store = factory.fresh().await;
        let calls = sweep(how, |fault| goes_on(&factory, &store, fault)).await;
        assert!(calls >= CALLS, "only {calls} calls were tried");
    }
}

/// Checks out by a key of its own, with this fault on the way, and returns how often it fired.
async fn goes_on<F: Factory>(factory: &F, store: &F::Store, fault: Fault) -> usize {
    let key = Key::new("tenant", format!("k{}", fault.at)).expect("a valid key");
    let faulty = Faulty::new(factory.reopen(store).await, [fault]);
    let acts = ["create_order", "capture_payment", "stage_receipt"].map(|step| (step, Act::FailOnce));
    let shop = Shop::acting(factory, acts);
    let run = async || match lived(factory, &faulty, &shop, stubborn::<F>, &key).await {
        // A store that fails fails the run; whoever asks again goes on.
        Err(Error::Store(_)) => lived(factory, &faulty, &shop, stubborn::<F>, &key).await,
        ended => ended,
    };
    for _ in ["run", "replay"] {
        let answered = run().await.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert!(*answered.response() == receipt(), "{fault:?}");
    }
    done_once(factory, store, &key, fault).await;
    let mut effect_keys = shop.effect_keys();
    effect_keys.dedup();
    assert_eq!(effect_keys.len(), 1, "{fault:?}: the gateway sees one key");
    let failures = store.failures(&[found(store, &key).await.id]).await.expect("failures");
    let mut attempts: Vec<_> = failures.iter().map(|failed| (failed.seq, failed.attempt)).collect();
    assert!(attempts.len() >= 2, "{fault:?}: {failures:?}");
    attempts.dedup();
    assert_eq!(attempts.len(), failures.len(), "{fault:?}: each is told once");
    faulty.fired()
}

async fn swept<F: Factory>(factory: F, how: How) {
    let store = factory.fresh().await;
    let calls = sweep(how, |fault| recovers(&factory, &store, fault)).await;
    assert!(calls >= CALLS, "only {calls} calls were tried");
}

/// Checks out by a key of its own, with this fault on the way, and returns how often it fired.
async fn recovers<F: Factory>(factory: &F, store: &F::Store, fault: Fault) -> usize {
    let key = Key::new("tenant", format!("k{}", fault.at)).expect("a valid key");
    let faulty = Faulty::new(factory.reopen(store).await, [fault]);
    let broken = Shop::acting(factory, [("capture_payment", Act::Fail)]);
    let failed = outlived(factory, &faulty, &broken, &key).await;
    assert!(matches!(failed, Err(Error::Step { .. })), "{fault:?}: {failed:?}");
    let shop = Shop::open(factory);
    for _ in ["run", "replay"] {
        let answered = outlived(factory, &faulty, &shop, &key).await;
        let answered = answered.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert!(*answered.response() == receipt(), "{fault:?}");
    }
    done_once(factory, store, &key, fault).await;
    let mut effect_keys = [broken.effect_keys(), shop.effect_keys()].concat();
    effect_keys.dedup();
    assert_eq!(effect_keys.len(), 1, "{fault:?}: the gateway sees one key");
    faulty.fired()
}

/// Checks out, a second time if the process died, when the lease of the dead is over.
async fn outlived<F: Factory>(
    factory: &F,
    faulty: &Faulty<F::Store>,
    shop: &Arc<Shop<F>>,
    key: &Key,
) -> Result<Answered, Error> {
    lived(factory, faulty, shop, checkout::<F>, key).await
}

async fn lived<F: Factory>(
    factory: &F,
    faulty: &Faulty<F::Store>,
    shop: &Arc<Shop<F>>,
    workflow: fn() -> Workflow<ConnOf<F>, Shop<F>, Cart>,
    key: &Key,
) -> Result<Answered, Error> {
    // Each process has connections of its own: those of the dead are dead.
    let run = async || {
        let process = faulty.over(factory.reopen(faulty.inner()).await);
        process.process(shop.runner(&process).run(workflow, key.clone(), any_cart())).await
    };
    if let Some(answered) = run().await {
        return answered;
    }
    factory.clock(faulty.inner()).advance(LEASE);
    run().await.expect("a process dies once")
}

/// Of the keys so far, each has left two notes, one job and three points.
async fn done_once<F: Factory>(factory: &F, store: &F::Store, key: &Key, fault: Fault) {
    assert_eq!(factory.notes(store).await.len(), 2 * fault.at, "{fault:?}");
    assert_eq!(factory.staged(store).await.len(), fault.at, "{fault:?}");
    let row = found(store, key).await;
    assert_eq!(row.status, Status::Finished, "{fault:?}");
    let journal = reached(store, row.id).await;
    assert_eq!(journal, [(1, CREATED.into()), (2, CAPTURED.into()), (3, "finished".into())], "{fault:?}");
}

async fn reached(store: &impl Store, id: Uuid) -> Vec<(i32, String)> {
    let journal = store.journal(&[id]).await.expect("journal");
    journal.into_iter().map(|point| (point.seq, point.name)).collect()
}
