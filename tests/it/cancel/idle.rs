//! Nobody has the key: the cancel takes it back itself.

use std::sync::Arc;

use workflow::seam::Status;
use workflow::{Answered, Error, Key};
use workflow_testkit::Faulty;

use super::shop::{
    Act, Cart, LEASE, Shop, by_the_caller, checkout, is_replayed, journal, key, noted, status,
};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

const UNDONE: &str = "reserved paid charge.cancelled charge.undone reserve.undone finished";
const NEVER_PAID: &str = "reserved charge.cancelled reserve.undone finished";

/// A run that ends, as it was told, without an answer.
async fn ends<S: Noted>(shop: &Arc<Shop>, stage: &Stage<S>, key: &Key) -> Error {
    shop.runner(&stage.store).run(checkout::<S::Conn>, key.clone(), Cart).await.unwrap_err()
}

async fn cancel<S: Noted>(shop: &Arc<Shop>, stage: &Stage<S>, key: &Key) -> Result<Answered, Error> {
    shop.runner(&stage.store).cancel(key.clone(), Some(by_the_caller())).await
}

/// Dies at the charge: before it leaves, or when it has come through.
async fn dies_at_the_charge<S: Noted>(shop: &Arc<Shop>, stage: &Stage<S>, key: &Key) {
    let process = Faulty::new(S::again(stage).await, []);
    let life = {
        let (shop, store, key) = (shop.clone(), process.clone(), key.clone());
        async move { shop.held(&shop.runner(&store), &key).await.abort() }
    };
    assert!(process.process(life).await.is_some());
}

async fn a_key_that_waits_for_nobody_is_undone_at_once<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("place", &[&[Act::Fail]]), key("k"));
    assert!(matches!(ends(&shop, &stage, &key).await, Error::Step { step: "place", .. }));
    let answered = cancel(&shop, &stage, &key).await.unwrap();
    assert_eq!(answered.response(), &by_the_caller());
    assert_eq!(
        journal(&stage.store, &key).await,
        "reserved paid place.cancelled charge.undone reserve.undone finished"
    );
    assert_eq!(noted(&stage.store, &key).await, ["released", "reserved"]);
    assert_eq!((shop.charges(), shop.called("charge").len()), ((1, 0), 1), "it is known to have charged");
    let row = stage.store.find(&key).await.unwrap().unwrap();
    assert!(row.cancel_requested_at.is_some());
    is_replayed(&shop, &stage.store, &key, &by_the_caller()).await;
}

async fn a_charge_of_which_nobody_knows_is_made_known_and_given_back<S: Noted>(stage: Stage<S>) {
    for hold in [&[Act::HoldBefore], &[Act::HoldAfter]] {
        let (shop, key) = (Shop::told("charge", &[hold]), key(&format!("{hold:?}")));
        dies_at_the_charge(&shop, &stage, &key).await;
        let busy = cancel(&shop, &stage, &key).await.unwrap_err();
        assert!(matches!(busy, Error::InProgress { .. }), "its lease is out: {busy}");
        stage.clock.advance(LEASE);
        let answered = cancel(&shop, &stage, &key).await.unwrap();
        assert_eq!(answered.response(), &by_the_caller());
        assert_eq!(journal(&stage.store, &key).await, UNDONE);
        let calls = shop.called("charge");
        assert!(calls.len() == 2 && calls[0] == calls[1], "{calls:?}");
        assert_eq!((shop.charges(), shop.called("refund").len()), ((1, 0), 1));
    }
}

/// A runner is frozen just before its charge leaves, for longer than its lease, and wakes up after the undo.
async fn a_charge_that_arrives_after_its_undo_is_not_kept<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("charge", &[&[Act::HoldBefore]]), key("k"));
    let frozen = shop.held(&shop.runner(&S::again(&stage).await), &key).await;
    stage.clock.advance(LEASE);
    assert_eq!(cancel(&shop, &stage, &key).await.unwrap().response(), &by_the_caller());
    assert_eq!((shop.charges(), shop.called("refund").len()), ((1, 0), 1));
    shop.open();
    let woken = frozen.await.unwrap().unwrap_err();
    assert!(matches!(woken, Error::LeaseLost { .. }), "{woken}");
    let calls = shop.called("charge");
    assert!(calls.len() == 2 && calls[0] == calls[1], "the late charge is one that the bank knows");
    assert_eq!((shop.charges(), shop.called("refund").len()), ((1, 0), 1), "nothing is kept");
    assert_eq!(journal(&stage.store, &key).await, UNDONE);
    assert_eq!(noted(&stage.store, &key).await, ["released", "reserved"]);
    is_replayed(&shop, &stage.store, &key, &by_the_caller()).await;
}

/// The one who asked for the cancel is gone, too.
async fn whoever_claims_a_cancelled_key_takes_it_back<S: Noted>(stage: Stage<S>) {
    for resumes in [false, true] {
        let (shop, key) = (Shop::told("charge", &[&[Act::HoldAfter]]), key(&format!("{resumes}")));
        dies_at_the_charge(&shop, &stage, &key).await;
        assert!(cancel(&shop, &stage, &key).await.is_err());
        stage.clock.advance(LEASE);
        let runner = shop.runner(&stage.store);
        let answered = match resumes {
            true => runner.resume(key.clone()).await.unwrap(),
            false => runner.run(checkout::<S::Conn>, key.clone(), Cart).await.unwrap(),
        };
        assert_eq!(answered.response(), &by_the_caller());
        assert_eq!((journal(&stage.store, &key).await, shop.charges()), (UNDONE.to_owned(), (1, 0)));
    }
}

/// An hour before its next attempt. The first one is known to have done nothing.
async fn a_key_that_waits_is_cancelled_at_once_and_not_charged_first<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("charge", &[&[Act::Busy]]), key("k"));
    assert!(matches!(ends(&shop, &stage, &key).await, Error::Waiting { .. }));
    assert_eq!(status(&stage.store, &key).await, Status::Waiting);
    assert_eq!(cancel(&shop, &stage, &key).await.unwrap().response(), &by_the_caller());
    assert_eq!(journal(&stage.store, &key).await, NEVER_PAID);
    assert_eq!((shop.charges(), shop.called("charge").len()), ((0, 0), 1));
}

async fn a_charge_that_was_refused_is_not_given_back<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("charge", &[&[Act::HoldBefore], &[Act::Refuse]]), key("k"));
    dies_at_the_charge(&shop, &stage, &key).await;
    stage.clock.advance(LEASE);
    assert_eq!(cancel(&shop, &stage, &key).await.unwrap().response(), &by_the_caller());
    assert_eq!(journal(&stage.store, &key).await, NEVER_PAID);
    assert_eq!((shop.charges(), shop.called("refund").len()), ((0, 0), 0));
    assert_eq!(noted(&stage.store, &key).await, ["released", "reserved"]);
}

/// The bank is away: nothing is undone before it is known what there is to undo.
async fn a_key_whose_charge_stays_unknown_is_parked_until_somebody_asks_again<S: Noted>(stage: Stage<S>) {
    let lost: &[Act] = &[Act::Lost];
    let (shop, key) = (Shop::told("charge", &[&[Act::HoldAfter], lost, lost]), key("k"));
    dies_at_the_charge(&shop, &stage, &key).await;
    stage.clock.advance(LEASE);
    let parked = cancel(&shop, &stage, &key).await.unwrap_err();
    assert!(matches!(parked, Error::NeedsAttention { .. }), "{parked}");
    assert_eq!(journal(&stage.store, &key).await, "reserved");
    assert_eq!(status(&stage.store, &key).await, Status::NeedsAttention);
    assert_eq!(noted(&stage.store, &key).await, ["reserved"]);
    assert!(matches!(shop.runner(&stage.store).resume(key.clone()).await, Err(Error::NeedsAttention { .. })));

    let answered = cancel(&shop, &stage, &key).await.unwrap();
    assert_eq!(answered.response(), &by_the_caller());
    assert_eq!((journal(&stage.store, &key).await, shop.charges()), (UNDONE.to_owned(), (1, 0)));
    assert_eq!(shop.called("charge").len(), 4);
}

async fn a_key_that_needs_attention_can_be_cancelled<S: Noted>(stage: Stage<S>) {
    let lost: &[Act] = &[Act::Lost];
    let (shop, key) = (Shop::told("charge", &[lost, lost, lost]), key("k"));
    assert!(matches!(ends(&shop, &stage, &key).await, Error::NeedsAttention { .. }));
    assert_eq!(cancel(&shop, &stage, &key).await.unwrap().response(), &by_the_caller());
    assert_eq!((journal(&stage.store, &key).await, shop.charges()), (UNDONE.to_owned(), (1, 0)));
}

async fn cancelled_twice_a_key_keeps_the_first_answer<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("place", &[&[Act::Fail]]), key("k"));
    ends(&shop, &stage, &key).await;
    let runner = shop.runner(&stage.store);
    let first = runner.cancel(key.clone(), None).await.unwrap();
    assert_eq!(first.body(), br#"{"error":"cancelled by the shop"}"#);
    let second = runner.cancel(key.clone(), Some(by_the_caller())).await.unwrap();
    assert!(second.replayed() && second.response() == first.response());
    assert_eq!(shop.called("refund").len(), 1);
}

everywhere!(
    a_key_that_waits_for_nobody_is_undone_at_once,
    a_charge_of_which_nobody_knows_is_made_known_and_given_back,
    a_charge_that_arrives_after_its_undo_is_not_kept,
    whoever_claims_a_cancelled_key_takes_it_back,
    a_key_that_waits_is_cancelled_at_once_and_not_charged_first,
    a_charge_that_was_refused_is_not_given_back,
    a_key_whose_charge_stays_unknown_is_parked_until_somebody_asks_again,
    a_key_that_needs_attention_can_be_cancelled,
    cancelled_twice_a_key_keeps_the_first_answer,
);
