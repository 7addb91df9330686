//! How claims, steps and runs begin and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use workflow::{Error, Event, Observer, Runner};
use workflow_testkit::{Fault, Faulty, How};

use super::shop::{Act, Cart, LEASE, Log, Shop, bought, buy, key};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

async fn a_first_run_tells_its_claim_its_steps_and_its_end_and_a_replay_itself<S: Noted>(stage: Stage<S>) {
    let (log, key) = (Log::default(), key());
    let runner = Shop::told(&[]).runner(&stage.store, &log);
    bought(&runner, &key).await.unwrap();
    let ran = ["claimed fresh", "reserve reached", "charge reached", "ship reached", "ended finished"];
    assert_eq!(log.take(), ran);
    assert!(bought(&runner, &key).await.unwrap().replayed());
    assert!(runner.resume(key).await.unwrap().replayed());
    assert_eq!(log.take(), ["replayed", "replayed"]);
}

async fn a_conflict_and_a_mismatch_tell_why_nothing_ran<S: Noted>(stage: Stage<S>) {
    let (log, other, key) = (Log::default(), Log::default(), key());
    let shop = Shop::told(&[Act::Hold]);
    let runner = shop.runner(&stage.store, &log);
    let run = tokio::spawn({
        let (runner, key) = (runner.clone(), key.clone());
        async move { bought(&runner, &key).await }
    });
    shop.arrived().await;
    let asking = shop.runner(&stage.store, &other);
    let busy = bought(&asking, &key).await.unwrap_err();
    assert!(matches!(busy, Error::InProgress { .. }), "{busy}");
    let different = asking.run(buy::<S::Conn>, key.clone(), Cart(2)).await.unwrap_err();
    assert!(matches!(different, Error::Mismatch { .. }), "{different}");
    assert_eq!(other.take(), ["refused in_progress", "refused mismatch"]);
    shop.open();
    run.await.unwrap().unwrap();
    assert_eq!(log.take()[1..], ["reserve reached", "charge reached", "ship reached", "ended finished"]);
}

async fn each_attempt_of_a_step_tells_how_it_ended<S: Noted>(stage: Stage<S>) {
    let (log, key) = (Log::default(), key());
    let runner = Shop::told(&[Act::Fail, Act::Lost]).runner(&stage.store, &log);
    bought(&runner, &key).await.unwrap();
    let attempts = ["charge failed", "charge in_doubt", "charge reached"];
    assert_eq!(log.take()[2..5], attempts);
}

async fn a_step_that_panics_is_in_doubt_and_a_key_without_attempts_is_parked<S: Noted>(stage: Stage<S>) {
    let (log, key) = (Log::default(), key());
    let runner = Shop::told(&[Act::Panic; 3]).runner(&stage.store, &log);
    bought(&runner, &key).await.unwrap_err();
    assert_eq!(
        log.take()[2..],
        ["charge in_doubt", "charge in_doubt", "charge in_doubt", "ended needs_attention"]
    );
    bought(&runner, &key).await.unwrap_err();
    assert_eq!(log.take(), ["refused needs_attention"]);
    assert!(runner.unpark(&key).await.unwrap());
    bought(&runner, &key).await.unwrap();
    assert_eq!(log.take()[0], "claimed resumed", "it was given back");
}

async fn a_key_that_waits_is_told_and_goes_on_as_resumed<S: Noted>(stage: Stage<S>) {
    let (log, key) = (Log::default(), key());
    let runner = Shop::told(&[Act::Busy]).runner(&stage.store, &log);
    bought(&runner, &key).await.unwrap_err();
    bought(&runner, &key).await.unwrap_err();
    assert_eq!(
        log.take(),
        ["claimed fresh", "reserve reached", "charge failed", "ended waiting", "refused waiting"]
    );
    stage.clock.advance(LEASE);
    bought(&runner, &key).await.unwrap();
    assert_eq!(log.take(), ["claimed resumed", "charge reached", "ship reached", "ended finished"]);
}

async fn a_final_refusal_tells_the_undos_and_an_end_of_its_own<S: Noted>(stage: Stage<S>) {
    let (log, key) = (Log::default(), key());
    let runner = Shop::told(&[Act::Refuse]).runner(&stage.store, &log);
    assert_eq!(bought(&runner, &key).await.unwrap().status(), 402);
    assert_eq!(
        log.take(),
        ["claimed fresh", "reserve reached", "charge answered", "undo reserve reached", "ended undone"]
    );
}

async fn one_step_alone_gives_the_key_back<S: Noted>(stage: Stage<S>) {
    let (log, key) = (Log::default(), key());
    let runner = Shop::told(&[Act::Busy]).runner(&stage.store, &log);
    bought(&runner, &key).await.unwrap_err();
    log.take();
    stage.clock.advance(LEASE);
    for (step, end) in [("charge", "stepped"), ("ship", "finished")] {
        runner.step(key.clone()).await.unwrap();
        let expected = ["claimed resumed".to_owned(), format!("{step} reached"), format!("ended {end}")];
        assert_eq!(log.take(), expected);
    }
}

/// Dies where its second call of the store would be: with the claim committed, and nothing else.
async fn a_run_that_is_cut_off_is_interrupted_and_then_taken_over<S: Noted>(stage: Stage<S>) {
    let (log, key, shop) = (Log::default(), key(), Shop::told(&[]));
    let faulty = Faulty::new(S::again(&stage).await, [Fault { at: 2, how: How::AbandonBefore }]);
    let dying = (shop.runner(&faulty, &log), key.clone());
    let died = faulty.process(async move { bought(&dying.0, &dying.1).await }).await;
    assert!(died.is_none());
    assert_eq!(log.take(), ["claimed fresh", "ended interrupted"]);
    stage.clock.advance(LEASE);
    bought(&shop.runner(&stage.store, &log), &key).await.unwrap();
    assert_eq!(log.take()[0], "claimed takeover");
}

/// Panics at each event, and counts them.
struct Panics(Arc<AtomicUsize>);

impl Observer for Panics {
    fn observe(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("planned");
    }
}

async fn an_observer_that_panics_hurts_neither_the_run_nor_the_next_observer<S: Noted>(stage: Stage<S>) {
    let (log, told) = (Log::default(), Arc::new(AtomicUsize::new(0)));
    let runner = Runner::builder(stage.store.clone(), Shop::told(&[Act::Refuse]))
        .observer(Panics(told.clone()))
        .observer(log.clone())
        .with(buy::<S::Conn>)
        .build()
        .unwrap();
    assert_eq!(bought(&runner, &key()).await.unwrap().status(), 402);
    assert_eq!((log.take().len(), told.load(Ordering::SeqCst)), (5, 5));
}

everywhere! {
    a_first_run_tells_its_claim_its_steps_and_its_end_and_a_replay_itself,
    a_conflict_and_a_mismatch_tell_why_nothing_ran,
    each_attempt_of_a_step_tells_how_it_ended,
    a_step_that_panics_is_in_doubt_and_a_key_without_attempts_is_parked,
    a_key_that_waits_is_told_and_goes_on_as_resumed,
    a_final_refusal_tells_the_undos_and_an_end_of_its_own,
    one_step_alone_gives_the_key_back,
    a_run_that_is_cut_off_is_interrupted_and_then_taken_over,
    an_observer_that_panics_hurts_neither_the_run_nor_the_next_observer,
}
