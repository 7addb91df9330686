//! How often a step is tried, and after which pauses.

use std::time::Duration;

use workflow::seam::Status;
use workflow::{Error, Response, Retry, Store, Workflow};
use workflow_testkit::{MemoryConn, Trial};

use super::shop::{Act, Cart, Paid, SECOND, Shop, Stage, answer, book, key, pay};

type Of = Workflow<MemoryConn, Shop, Cart>;

/// One, two, four, eight seconds, and no more than eight.
fn doubling() -> Retry {
    Retry::times(6).backoff(SECOND, 2.0, 8 * SECOND).without_jitter()
}

pub(super) fn patient() -> Of {
    Workflow::new("buy").foreign("pay", pay).retry(doubling()).atomic("answer", answer).build()
}

fn booking() -> Of {
    Workflow::new("buy").atomic("book", book).retry(doubling()).atomic("answer", answer).build()
}

fn jittery() -> Of {
    let retry = Retry::times(40).backoff(SECOND, 1.0, SECOND);
    Workflow::new("buy").foreign("pay", pay).retry(retry).atomic("answer", answer).build()
}

/// A pause of more than two seconds is not waited for.
fn impatient() -> Of {
    let retry = doubling().in_place(2 * SECOND);
    Workflow::new("buy").foreign("pay", pay).retry(retry).atomic("answer", answer).build()
}

fn careless() -> Of {
    Workflow::new("buy").foreign("pay", pay).atomic("answer", answer).build()
}

#[tokio::test(start_paused = true)]
async fn a_step_is_tried_again_after_the_pauses_that_were_declared() {
    let stage = Stage::told([Act::Away; 5]);
    let answered = stage.run(patient).await.unwrap();
    assert_eq!((answered.status(), answered.ran()), (201, &["pay", "answer"][..]));
    assert_eq!(stage.shop.seconds(), [0.0, 1.0, 3.0, 7.0, 15.0, 23.0]);
    let attempts: Vec<_> = stage.shop.calls().iter().map(|call| call.attempt).collect();
    assert_eq!((attempts, stage.shop.effect_keys()), (vec![1, 2, 3, 4, 5, 6], 1));
    assert_eq!(stage.journal().await, [("paid".to_owned(), 6), ("finished".to_owned(), 1)]);
    let failures = stage.told_failures().await;
    assert_eq!(failures.len(), 5);
    assert_eq!(failures[4], (5, "pay".to_owned(), "the gateway is away".to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn of_an_atomic_step_that_is_tried_again_only_the_last_attempt_has_written() {
    let stage = Stage::told([Act::Away, Act::Panic, Act::Away]);
    stage.run(booking).await.unwrap();
    assert_eq!(stage.shop.seconds(), [0.0, 1.0, 3.0, 7.0]);
    assert_eq!(stage.store.get("booked"), Some(1.into()));
    assert_eq!(stage.journal().await, [("paid".to_owned(), 4), ("finished".to_owned(), 1)]);
    assert_eq!(stage.told_failures().await[1].2, "panicked: planned");
}

#[tokio::test(start_paused = true)]
async fn full_jitter_is_between_nothing_and_the_bound() {
    let stage = Stage::told([Act::Away; 39]);
    stage.run(jittery).await.unwrap();
    let seconds = stage.shop.seconds();
    let pauses: Vec<_> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses.len(), 39);
    assert!(pauses.iter().all(|pause| (0.0..=1.002).contains(pause)), "{pauses:?}");
    let mean = pauses.iter().sum::<f64>() / 39.0;
    assert!((0.25..0.75).contains(&mean), "{mean} of {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_says_when_to_ask_again_is_not_asked_before() {
    let stage = Stage::told([Act::Busy(5 * SECOND), Act::Busy(SECOND)]);
    stage.run(patient).await.unwrap();
    assert_eq!(stage.shop.seconds(), [0.0, 5.0, 7.0], "and the longer of both counts");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_counted_before_it_begins() {
    let stage = Stage::told([Act::Away, Act::Away, Act::Die]);
    let runner = stage.runner(patient);
    let run = tokio::spawn(runner.run(patient, key(), Cart));
    while stage.shop.calls().len() < 3 {
        tokio::time::sleep(SECOND / 10).await;
    }
    let row = stage.store.find(&key()).await.unwrap().unwrap();
    assert_eq!((row.step_attempts, row.last_error.as_deref()), (3, Some("the gateway is away")));
    assert!(!row.lease_left.is_zero(), "and the lease is kept in between");
    run.abort();
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_gives_back_the_lease_and_whoever_asks_later_goes_on() {
    let stage = Stage::told([Act::Away; 3]);
    let waits = stage.run(impatient).await.unwrap_err();
    assert!(matches!(waits, Error::Waiting { retry_after, .. } if retry_after == 4 * SECOND), "{waits}");
    assert_eq!(stage.shop.seconds(), [0.0, 1.0, 3.0]);
    let status = stage.runner(impatient).status(&key()).await.unwrap().unwrap();
    assert_eq!((status.status, status.leased, status.attempts), (Status::Waiting, false, 0));
    assert!(status.wake_left > 3 * SECOND && status.wake_left <= 4 * SECOND);

    stage.clock.advance(2 * SECOND);
    let early = stage.run(impatient).await.unwrap_err();
    assert!(matches!(early, Error::Waiting { retry_after, .. } if retry_after <= 2 * SECOND), "{early}");
    assert_eq!(stage.shop.calls().len(), 3, "nothing is called before its time");
    stage.clock.advance(2 * SECOND);
    let answered = stage.runner(impatient).resume(key()).await.unwrap();
    assert_eq!(answered.status(), 201);
    assert_eq!(stage.shop.calls()[3].attempt, 4);
    assert_eq!(stage.journal().await[0], ("paid".to_owned(), 4));
}

#[tokio::test(start_paused = true)]
async fn who_waits_counts_on_where_the_last_run_stopped() {
    let stage = Stage::told([Act::Away; 9]);
    for (attempts, pause) in [(3, 4), (4, 8), (5, 8)] {
        let waits = stage.run(impatient).await.unwrap_err();
        assert!(
            matches!(waits, Error::Waiting { retry_after, .. } if retry_after == pause * SECOND),
            "{waits}"
        );
        assert_eq!(stage.shop.calls().len(), attempts);
        stage.clock.advance(pause * SECOND);
    }
    assert!(matches!(stage.run(impatient).await.unwrap_err(), Error::NeedsAttention { .. }));
    assert_eq!(stage.shop.calls().len(), 6);
    assert_eq!(stage.shop.effect_keys(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_an_error_ends_the_run_and_the_key_is_free() {
    let stage = Stage::told([Act::Away]);
    let failed = stage.run(careless).await.unwrap_err();
    assert!(matches!(failed, Error::Step { step: "pay", in_doubt: false, .. }), "{failed}");
    let row = stage.store.find(&key()).await.unwrap().unwrap();
    assert_eq!((row.status, row.lease_left, row.attempts), (Status::Running, Duration::ZERO, 0));
    assert_eq!(stage.told_failures().await.len(), 1);
    assert_eq!(stage.run(careless).await.unwrap().status(), 201);
    assert_eq!(stage.journal().await[0], ("paid".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_step_tried_alone_is_tried_again_too() {
    let stage = Stage::told([Act::Away; 2]);
    let tried = Trial::of(patient, Cart).on(&stage.store, stage.shop.clone()).step().await;
    tried.reached::<Paid>();
    // To the step it is the second attempt already.
    assert_eq!(stage.shop.seconds(), [0.0, 2.0, 6.0]);
}

#[tokio::test(start_paused = true)]
async fn a_final_answer_is_not_tried_again() {
    let stage = Stage::told([Act::Refuse, Act::Away]);
    let answered = stage.run(patient).await.unwrap();
    assert_eq!(answered.response(), &Response::new(402, serde_json::json!({ "error": "declined" })));
    assert_eq!(stage.shop.calls().len(), 1);
    assert!(stage.run(patient).await.unwrap().replayed());
}
