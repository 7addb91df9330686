//! Too late: nothing changes.

use workflow::{Error, Key, Runner};

use super::shop::{Act, Cart, Shop, by_the_caller, checkout, is_replayed, journal, key, noted};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

async fn is_too_late<S: Noted>(runner: &Runner<S, Shop>, key: &Key, at: &str) {
    match runner.cancel(key.clone(), Some(by_the_caller())).await {
        Err(Error::TooLate { point, .. }) => assert_eq!(point, at),
        other => panic!("{other:?}"),
    }
    let status = runner.status(key).await.unwrap().unwrap();
    assert!(status.cancel_requested_at.is_none());
}

async fn a_key_that_has_passed_its_point_of_no_return_goes_on<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("ship", &[&[Act::HoldBefore]]), key("k"));
    let runner = shop.runner(&stage.store);
    let run = shop.held(&runner, &key).await;
    is_too_late(&runner, &key, "placed").await;
    shop.open();
    assert_eq!(run.await.unwrap().unwrap().status(), 201);
    is_too_late(&runner, &key, "finished").await;
    assert_eq!(journal(&stage.store, &key).await, "reserved paid placed finished");
    assert_eq!(noted(&stage.store, &key).await, ["placed", "reserved"]);
    assert_eq!((shop.charges(), shop.called("refund").len()), ((1, 1), 0));
}

async fn a_key_that_is_undone_for_another_answer_keeps_that<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("place", &[&[Act::Refuse]]), key("k"));
    let runner = shop.runner(&stage.store);
    let answered = runner.run(checkout::<S::Conn>, key.clone(), Cart).await.unwrap();
    assert_eq!(answered.status(), 402);
    is_too_late(&runner, &key, "finished").await;
    is_replayed(&shop, &stage.store, &key, answered.response()).await;
}

async fn an_unknown_key_makes_no_row<S: Noted>(stage: Stage<S>) {
    let shop = Shop::told("place", &[]);
    let runner = shop.runner(&stage.store);
    assert!(matches!(runner.cancel(key("k"), None).await, Err(Error::UnknownKey { .. })));
    assert!(runner.status(&key("k")).await.unwrap().is_none());
}

everywhere!(
    a_key_that_has_passed_its_point_of_no_return_goes_on,
    a_key_that_is_undone_for_another_answer_keeps_that,
    an_unknown_key_makes_no_row,
);
