//! Time-outs: of an attempt, of a step, of a run.

use workflow::seam::Status;
use workflow::{Error, Response, Retry, Store, Workflow};
use workflow_testkit::MemoryConn;

use super::shop::{Act, Cart, SECOND, Shop, Stage, answer, book, key, pay};

type Of = Workflow<MemoryConn, Shop, Cart>;

fn often() -> Retry {
    Retry::times(100).backoff(2 * SECOND, 1.0, 2 * SECOND).without_jitter()
}

fn attempts_of_three_seconds() -> Of {
    Workflow::new("buy")
        .foreign("pay", pay)
        .retry(often())
        .timeout(3 * SECOND)
        .atomic("answer", answer)
        .build()
}

fn books_in_three_seconds() -> Of {
    Workflow::new("buy")
        .atomic("book", book)
        .retry(often())
        .timeout(3 * SECOND)
        .atomic("answer", answer)
        .build()
}

fn nine_seconds_in_all() -> Of {
    Workflow::new("buy")
        .foreign("pay", pay)
        .retry(often())
        .timeout(3 * SECOND)
        .time_limit(9 * SECOND)
        .exhausted(|_| Response::empty(504))
        .atomic("answer", answer)
        .build()
}

fn one_try_of_three_seconds() -> Of {
    Workflow::new("buy").foreign("pay", pay).timeout(3 * SECOND).atomic("answer", answer).build()
}

fn a_run_of_nine_seconds() -> Of {
    Workflow::new("buy")
        .run_limit(9 * SECOND)
        .foreign("pay", pay)
        .retry(often())
        .atomic("answer", answer)
        .build()
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_given_up_in_doubt_and_repeated_by_the_same_key() {
    let stage = Stage::told([Act::Hang, Act::Hang]);
    assert_eq!(stage.run(attempts_of_three_seconds).await.unwrap().status(), 201);
    assert_eq!(stage.shop.seconds(), [0.0, 5.0, 10.0]);
    assert!(stage.shop.calls().iter().all(|call| call.time_left == Some(3 * SECOND)));
    assert_eq!(stage.shop.effect_keys(), 1);
    let failures = stage.told_failures().await;
    assert_eq!(
        (&*failures[0].2, failures[0].3),
        ("nobody knows whether it happened: the attempt took longer than it may", true)
    );
}

#[tokio::test(start_paused = true)]
async fn of_an_atomic_attempt_that_takes_too_long_nothing_is_left() {
    let stage = Stage::told([Act::Hang]);
    assert_eq!(stage.run(books_in_three_seconds).await.unwrap().status(), 201);
    assert_eq!(stage.shop.seconds(), [0.0, 5.0]);
    assert_eq!(stage.store.get("booked"), Some(1.into()));
    assert_eq!(stage.told_failures().await[0].2, "the attempt took longer than it may");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_a_policy_that_takes_too_long_ends_the_run() {
    let stage = Stage::told([Act::Hang]);
    let failed = stage.run(one_try_of_three_seconds).await.unwrap_err();
    assert!(matches!(failed, Error::Step { step: "pay", in_doubt: true, .. }), "{failed}");
    assert_eq!(stage.run(one_try_of_three_seconds).await.unwrap().status(), 201);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_time_of_its_step() {
    let stage = Stage::told([Act::Away; 99]);
    assert_eq!(stage.run(nine_seconds_in_all).await.unwrap().status(), 504);
    assert_eq!(stage.shop.seconds(), [0.0, 2.0, 4.0, 6.0, 8.0]);
    let left: Vec<_> = stage.shop.calls().iter().map(|call| call.time_left.unwrap().as_secs()).collect();
    assert_eq!(left, [3, 3, 3, 3, 1], "and none lasts longer");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_step_is_counted_over_all_runs() {
    let stage = Stage::told([Act::Away; 99]);
    let runner = stage.runner(one_try_of_three_seconds);
    runner.run(one_try_of_three_seconds, key(), Cart).await.unwrap_err();
    // Five seconds later the database says when the first attempt was.
    stage.clock.advance(5 * SECOND);
    assert_eq!(stage.run(nine_seconds_in_all).await.unwrap().status(), 504);
    assert_eq!(stage.shop.calls().len(), 3, "{:?}", stage.shop.calls());
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_time_of_its_run() {
    let stage = Stage::told([Act::Away; 99]);
    let parked = stage.run(a_run_of_nine_seconds).await.unwrap_err();
    assert!(matches!(parked, Error::NeedsAttention { .. }), "{parked}");
    assert_eq!(stage.shop.seconds(), [0.0, 2.0, 4.0, 6.0, 8.0]);
    assert_eq!(stage.store.find(&key()).await.unwrap().unwrap().status, Status::NeedsAttention);
}

/// Who comes back after it calls nobody: an attempt that is cut off at once may have been sent.
#[tokio::test(start_paused = true)]
async fn after_the_time_of_a_step_or_run_not_even_the_first_attempt_of_a_run_begins() {
    let stage = Stage::told([Act::Away]);
    stage.run(one_try_of_three_seconds).await.unwrap_err();
    stage.clock.advance(20 * SECOND);
    let parked = stage.run(a_run_of_nine_seconds).await.unwrap_err();
    assert!(matches!(parked, Error::NeedsAttention { .. }), "{parked}");
    let why = "the time of the step, or of its run, is over";
    assert_eq!(stage.told_failures().await[1], (2, "pay".to_owned(), why.to_owned(), false));
    assert!(stage.runner(nine_seconds_in_all).unpark(&key()).await.unwrap());
    assert_eq!(stage.run(nine_seconds_in_all).await.unwrap().status(), 504);
    assert_eq!(stage.shop.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_there_is_no_deadline() {
    let stage = Stage::told([]);
    stage.run(super::pauses::patient).await.unwrap();
    assert_eq!(stage.shop.calls()[0].time_left, None);
}
