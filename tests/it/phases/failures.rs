//! A step of a phase fails: the point that the phase carries is kept, and so is every step before it.

use workflow::Error;

use super::everywhere;
use super::shop::{Act, Point, Shop, five, journal, key, noted};
use super::stage::{Noted, Stage};

/// The steps of `tail`, what has been reached before each, and what has been noted by then.
const STEPS: [(&str, &str, &str); 3] =
    [("b", "f>one", ""), ("c", "f>one b>two", "b"), ("d", "f>one b>two c>three", "bc")];

/// As often as a run may call it.
const ALWAYS: usize = 100;

async fn an_error_in_a_phase_loses_nothing_before_it<S: Noted>(stage: Stage<S>) {
    for act in [Act::Fail, Act::Panic, Act::Unwritable] {
        for (step, reached, written) in STEPS {
            let (shop, key) = (Shop::acting(step, act, ALWAYS), key(&format!("{act:?}-{step}")));
            let error = shop.tail(&stage.store, &key).await.unwrap_err();
            match (act, &error) {
                (Act::Unwritable, Error::Data { .. }) => {}
                (Act::Fail | Act::Panic, Error::Step { step: failed, .. }) => assert_eq!(*failed, step),
                _ => panic!("{act:?} in {step}: {error:?}"),
            }
            assert_eq!(journal(&stage.store, &key).await, reached, "{act:?} in {step}");
            assert_eq!(noted(&stage.store, &key).await, written, "{act:?} in {step}");
            let row = stage.store.find(&key).await.unwrap().unwrap();
            assert!(row.lease_left.is_zero() && row.last_error.is_some(), "the lease is given back");

            shop.heal();
            let answered = shop.tail(&stage.store, &key).await.unwrap();
            assert_eq!((answered.status(), answered.ran()[0]), (200, step));
            assert_eq!(noted(&stage.store, &key).await, "bcd", "{act:?} in {step}");
            assert_eq!(shop.effects("f").len(), 1, "{act:?} in {step}: the foreign step is not repeated");
        }
    }
}

async fn a_final_answer_in_a_phase_keeps_what_was_reached_before_it<S: Noted>(stage: Stage<S>) {
    for (step, reached, written) in STEPS {
        let (shop, key) = (Shop::acting(step, Act::Answer, ALWAYS), key(step));
        let answered = shop.tail(&stage.store, &key).await.unwrap();
        assert_eq!((answered.status(), answered.ran().last()), (402, Some(&step)));
        let reached = format!("{reached} {step}>finished");
        assert_eq!(journal(&stage.store, &key).await, reached);
        assert_eq!(noted(&stage.store, &key).await, written, "its own writes are rolled back");
        assert_eq!(shop.effects("f").len(), 1);
        shop.heal();
        let replay = shop.tail(&stage.store, &key).await.unwrap();
        assert!(replay.replayed() && replay.response() == answered.response());
    }
}

async fn an_error_that_passes_is_not_told<S: Noted>(stage: Stage<S>) {
    for act in [Act::Fail, Act::Panic, Act::Cut] {
        // The first step of the phase has nothing before it that would run again: its error is told.
        for step in ["c", "d"] {
            let (shop, key) = (Shop::acting(step, act, 1), key(&format!("{act:?}-{step}")));
            let answered = shop.tail(&stage.store, &key).await.unwrap();
            assert_eq!(answered.ran(), ["f", "b", "c", "d"], "each once, as far as it was committed");
            assert_eq!(noted(&stage.store, &key).await, "bcd");
            assert_eq!(journal(&stage.store, &key).await, "f>one b>two c>three d>finished");
            assert_eq!(shop.effects("f").len(), 1);
            let ran = if step == "c" { "fbcbcd" } else { "fbcdbcd" };
            assert_eq!(shop.ran(), ran, "one commit a step from there");
        }
    }
}

async fn data_that_the_next_step_cannot_read_stops_the_run_where_it_is<S: Noted>(stage: Stage<S>) {
    for (step, reached, written) in
        [("f", "f>one", ""), ("b", "f>one b>two", "b"), ("c", "f>one b>two c>three", "bc")]
    {
        let (shop, key) = (Shop::acting(step, Act::Unreadable, ALWAYS), key(step));
        for _ in 0..2 {
            let error = shop.tail(&stage.store, &key).await.unwrap_err();
            assert!(matches!(error, Error::Data { .. }), "{step}: {error:?}");
            assert_eq!(journal(&stage.store, &key).await, reached);
            assert_eq!(noted(&stage.store, &key).await, written);
        }
        assert_eq!(shop.effects("f").len(), 1);
    }
}

async fn a_foreign_step_that_fails_carries_nothing<S: Noted>(stage: Stage<S>) {
    for act in [Act::Fail, Act::Panic, Act::Unwritable] {
        let (shop, key) = (Shop::acting("f", act, 1), key(&format!("{act:?}")));
        shop.tail(&stage.store, &key).await.unwrap_err();
        assert_eq!((journal(&stage.store, &key).await, shop.ran()), (String::new(), "f".to_owned()));
        assert_eq!(shop.tail(&stage.store, &key).await.unwrap().status(), 200);
        let effects = shop.effects("f");
        assert!(effects.len() == 2 && effects[0] == effects[1], "the same effect key");
    }
}

async fn an_error_in_a_phase_without_a_foreign_step_keeps_the_steps_before_it<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::acting("d", Act::Fail, ALWAYS), key("k"));
    let runner = shop.runner(&stage.store);
    let error = runner.run(five, key.clone(), Point::default()).await.unwrap_err();
    assert!(matches!(error, Error::Step { step: "d", .. }), "{error:?}");
    assert_eq!(noted(&stage.store, &key).await, "abc");
    assert_eq!(journal(&stage.store, &key).await, "a>one b>two c>three");
    shop.heal();
    let answered = runner.run(five, key.clone(), Point::default()).await.unwrap();
    assert_eq!(answered.ran(), ["d", "e"]);
    assert_eq!(noted(&stage.store, &key).await, "abcde");
}

everywhere!(
    an_error_in_a_phase_loses_nothing_before_it,
    a_final_answer_in_a_phase_keeps_what_was_reached_before_it,
    an_error_that_passes_is_not_told,
    data_that_the_next_step_cannot_read_stops_the_run_where_it_is,
    a_foreign_step_that_fails_carries_nothing,
    an_error_in_a_phase_without_a_foreign_step_keeps_the_steps_before_it,
);
