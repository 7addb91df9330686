//! Undos that fail, wait, or never succeed, and who asks meanwhile.

use workflow::seam::{FailedAttempt, Status};
use workflow::{Error, Key, Store};
use workflow_testkit::{Fault, Faulty, How};

use super::shop::{LEASE, REQUEST, Shop, expected_journal, expected_notes, five, journal, key, noted};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

async fn failures<S: Store>(store: &S, key: &Key) -> Vec<FailedAttempt> {
    let row = store.find(key).await.unwrap().unwrap();
    store.failures(&[row.id]).await.unwrap()
}

async fn an_undo_that_fails_is_tried_again_by_the_same_effect_key<S: Noted>(stage: Stage<S>) {
    for (name, step) in [("-2", "b.undo"), ("-3", "c.undo"), ("-4", "d.undo")] {
        let shop = Shop::refusing(5).fails(name, 2);
        let key = key(name);
        let answered = shop.runner(&stage.store).run(five::<S::Conn>, key.clone(), REQUEST).await.unwrap();
        assert_eq!(answered.status(), 402);
        assert_eq!(journal(&stage.store, &key).await, expected_journal(5));
        assert_eq!(noted(&stage.store, &key).await, expected_notes(5), "of what failed nothing is left");
        assert_eq!(shop.effect_keys("-2").len(), 1);
        let failures = failures(&stage.store, &key).await;
        let told: Vec<_> = failures.iter().map(|failed| (&*failed.step, &*failed.error)).collect();
        let error = format!("{name} fails as planned");
        // An undo that shares a transaction fails once more, before it is tried by itself.
        assert!(!told.is_empty() && told.iter().all(|told| *told == (step, &*error)), "{told:?}");
    }
}

async fn an_undo_that_never_succeeds_parks_its_key_and_no_other<S: Noted>(stage: Stage<S>) {
    let shop = Shop::refusing(5).fails("-2", 3);
    let (parked, other) = (key("parked"), key("other"));
    let runner = shop.runner(&stage.store);
    let error = runner.run(five::<S::Conn>, parked.clone(), REQUEST).await.unwrap_err();
    assert!(matches!(error, Error::NeedsAttention { .. }), "{error}");
    let status = runner.status(&parked).await.unwrap().unwrap();
    assert_eq!((status.status, &*status.recovery_point), (Status::NeedsAttention, "c.undone"));
    assert!(status.response.is_none(), "nothing is answered before all is undone");
    assert!(matches!(runner.resume(parked.clone()).await, Err(Error::NeedsAttention { .. })));
    assert_eq!(runner.run(five::<S::Conn>, other.clone(), REQUEST).await.unwrap().status(), 402);

    assert!(runner.unpark(&parked).await.unwrap());
    let answered = runner.resume(parked.clone()).await.unwrap();
    assert_eq!((answered.status(), answered.body()), (402, &b"no, says 5"[..]));
    assert_eq!(journal(&stage.store, &parked).await, expected_journal(5));
    assert_eq!(noted(&stage.store, &parked).await, expected_notes(5));
    assert_eq!((shop.effect_keys("-2").len(), shop.called("2").len()), (2, 2), "one a key");
}

async fn a_step_whose_attempts_are_used_up_is_answered_after_the_undos<S: Noted>(stage: Stage<S>) {
    let shop = Shop::refusing(9).fails("3", 9);
    let key = key("k");
    let answered = shop.runner(&stage.store).run(five::<S::Conn>, key.clone(), REQUEST).await.unwrap();
    assert_eq!(answered.status(), 503);
    assert_eq!(journal(&stage.store, &key).await, expected_journal(3));
    assert_eq!(noted(&stage.store, &key).await, expected_notes(3));
}

async fn what_succeeds_is_not_undone<S: Noted>(stage: Stage<S>) {
    let shop = Shop::refusing(9);
    let key = key("k");
    let answered = shop.runner(&stage.store).run(five::<S::Conn>, key.clone(), REQUEST).await.unwrap();
    assert_eq!(answered.status(), 201);
    assert_eq!(journal(&stage.store, &key).await, "one two three four finished");
    assert_eq!(noted(&stage.store, &key).await, ["1", "3", "4"]);
    assert!(shop.called("-2").is_empty());
}

/// The one who asks has the request; the one who resumes has not.
async fn a_key_that_is_undone_is_taken_over_by_whoever_asks<S: Noted>(stage: Stage<S>) {
    for resumes in [false, true] {
        let shop = Shop::refusing(5).hangs("-2");
        let key = key(&format!("{resumes}"));
        let runner = shop.runner(&stage.store);
        // Nobody hears of the second undo: the process is gone.
        let faulty = Faulty::new(stage.store.clone(), []);
        let process = faulty.over(S::again(&stage).await);
        let died = process.process(die_in_an_undo(shop.clone(), process.clone(), key.clone())).await;
        assert!(died.is_some());
        let busy = runner.run(five::<S::Conn>, key.clone(), REQUEST).await.unwrap_err();
        assert!(matches!(busy, Error::InProgress { .. }), "{busy}");
        stage.clock.advance(LEASE);
        let answered = match resumes {
            true => runner.resume(key.clone()).await.unwrap(),
            false => runner.run(five::<S::Conn>, key.clone(), REQUEST).await.unwrap(),
        };
        assert_eq!(answered.status(), 402);
        assert_eq!(journal(&stage.store, &key).await, expected_journal(5));
        assert_eq!(noted(&stage.store, &key).await, expected_notes(5));
    }
}

/// The key was turned round, or an undo committed, and nobody heard of it.
async fn a_lost_reply_is_settled_within_the_run<S: Noted>(stage: Stage<S>) {
    let shop = Shop::refusing(5);
    let plain = Faulty::new(stage.store.clone(), []);
    shop.runner(&plain).run(five::<S::Conn>, key("plain"), REQUEST).await.unwrap();
    let calls = plain.calls();
    let turn = calls.iter().position(|call| *call == "turn").unwrap();
    let commits = calls.iter().enumerate().filter(|(at, call)| *at > turn && **call == "commit");
    for at in std::iter::once(turn).chain(commits.map(|(at, _)| at)) {
        let faulty = Faulty::new(stage.store.clone(), [Fault { at: at + 1, how: How::After }]);
        let key = key(&format!("{at}"));
        let answered = shop.runner(&faulty).run(five::<S::Conn>, key.clone(), REQUEST).await;
        assert_eq!(answered.unwrap().status(), 402, "{}", calls[at]);
        assert_eq!((faulty.fired(), faulty.calls()[at + 1]), (1, "settle"));
        assert_eq!(journal(&stage.store, &key).await, expected_journal(5));
        assert_eq!(noted(&stage.store, &key).await, expected_notes(5));
    }
}

/// Ends in the second undo, which does not return; its runtime goes with it.
async fn die_in_an_undo<S: Noted>(shop: std::sync::Arc<Shop>, store: Faulty<S>, key: Key) {
    let run = tokio::spawn(shop.runner(&store).run(five::<S::Conn>, key, REQUEST));
    while shop.called("-2").is_empty() {
        tokio::task::yield_now().await;
    }
    run.abort();
}

everywhere!(
    a_lost_reply_is_settled_within_the_run,
    an_undo_that_fails_is_tried_again_by_the_same_effect_key,
    an_undo_that_never_succeeds_parks_its_key_and_no_other,
    a_step_whose_attempts_are_used_up_is_answered_after_the_undos,
    what_succeeds_is_not_undone,
    a_key_that_is_undone_is_taken_over_by_whoever_asks,
);
