//! Steps whose attempts are used up, and those of which nobody knows whether they have happened.

use workflow::seam::Status;
use workflow::{Error, Response, Retry, Store, Verdict, Workflow};
use workflow_testkit::MemoryConn;

use super::shop::{Act, Cart, SECOND, Shop, Stage, answer, book, key, pay};

type Of = Workflow<MemoryConn, Shop, Cart>;

fn thrice() -> Retry {
    Retry::times(3).backoff(SECOND, 1.0, SECOND).without_jitter()
}

fn parking() -> Of {
    Workflow::new("buy").foreign("pay", pay).retry(thrice()).atomic("answer", answer).build()
}

fn answering() -> Of {
    let sorry =
        |error: &workflow::BoxError| Response::new(503, serde_json::json!({ "error": error.to_string() }));
    Workflow::new("buy")
        .foreign("pay", pay)
        .retry(thrice())
        .exhausted(sorry)
        .timeout(SECOND)
        .atomic("answer", answer)
        .build()
}

fn booking() -> Of {
    Workflow::new("buy")
        .atomic("book", book)
        .retry(thrice())
        .exhausted(|_| Response::empty(503))
        .timeout(SECOND)
        .atomic("answer", answer)
        .build()
}

/// What the gateway says when it is away means that nobody knows.
fn judging() -> Of {
    let judge = |error: &workflow::BoxError| match error.to_string().as_str() {
        "the gateway is away" => Verdict::InDoubt,
        "asked to try again after 1s" => Verdict::Retry,
        _ => Verdict::Answer(Response::empty(500)),
    };
    Workflow::new("buy")
        .foreign("pay", pay)
        .retry(thrice())
        .judge(judge)
        .exhausted(|_| Response::empty(503))
        .atomic("answer", answer)
        .build()
}

#[tokio::test(start_paused = true)]
async fn when_no_attempt_is_left_the_key_is_parked_until_somebody_lets_it_go_on() {
    let stage = Stage::told([Act::Away; 4]);
    let parked = stage.run(parking).await.unwrap_err();
    assert!(matches!(parked, Error::NeedsAttention { .. }), "{parked}");
    let runner = stage.runner(parking);
    let status = runner.status(&key()).await.unwrap().unwrap();
    assert_eq!((status.status, status.leased), (Status::NeedsAttention, false));
    assert_eq!(status.last_error.as_deref(), Some("the gateway is away"));
    assert_eq!(runner.failed_attempts(&[status.id]).await.unwrap().len(), 3);
    assert!(matches!(stage.run(parking).await.unwrap_err(), Error::NeedsAttention { .. }));
    assert!(matches!(runner.resume(key()).await.unwrap_err(), Error::NeedsAttention { .. }));
    assert_eq!(stage.shop.calls().len(), 3, "a parked key calls nobody");

    assert!(runner.unpark(&key()).await.unwrap());
    assert!(
        matches!(runner.resume(key()).await.unwrap_err(), Error::NeedsAttention { .. }),
        "one more attempt"
    );
    assert_eq!(stage.shop.calls().len(), 4);
    assert!(runner.unpark(&key()).await.unwrap());
    assert_eq!(runner.resume(key()).await.unwrap().status(), 201);
    assert_eq!(stage.shop.effect_keys(), 1);
    assert!(!runner.unpark(&key()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn when_no_attempt_is_left_the_declared_answer_is_final() {
    let stage = Stage::told([Act::Away; 9]);
    let answered = stage.run(answering).await.unwrap();
    assert_eq!((answered.status(), answered.body()), (503, &br#"{"error":"the gateway is away"}"#[..]));
    let replayed = stage.run(answering).await.unwrap();
    assert!(replayed.replayed() && replayed.response() == answered.response());
    assert_eq!((stage.shop.calls().len(), stage.store.get("orders")), (3, None));
    assert_eq!(stage.journal().await, [("finished".to_owned(), 3)]);
    assert_eq!(stage.told_failures().await.len(), 3, "the last one too");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_happened_is_not_answered_as_if_it_had_not() {
    for doubt in [Act::Doubt, Act::Hang, Act::Panic] {
        for at in 0..3 {
            let mut acts = [Act::Away; 3];
            acts[at] = doubt;
            let stage = Stage::told(acts);
            let parked = stage.run(answering).await.unwrap_err();
            assert!(matches!(parked, Error::NeedsAttention { .. }), "in doubt at {at}: {parked}");
            let doubts: Vec<_> = stage.told_failures().await.iter().map(|failed| failed.3).collect();
            assert_eq!(doubts, [at == 0, at == 1, at == 2]);
            assert_eq!(stage.shop.effect_keys(), 1);
        }
    }
}

/// The one of which nobody knows is the one under which a process died.
#[tokio::test(start_paused = true)]
async fn an_attempt_under_which_a_process_died_may_have_happened() {
    let stage = Stage::told([Act::Die, Act::Away, Act::Away]);
    let runner = stage.runner(parking);
    let run = tokio::spawn(runner.run(parking, key(), Cart));
    while stage.shop.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(runner);
    run.abort();
    stage.clock.advance(60 * SECOND);
    let parked = stage.run(answering).await.unwrap_err();
    assert!(matches!(parked, Error::NeedsAttention { .. }), "{parked}");
    assert_eq!(stage.shop.calls().len(), 3);
    assert_eq!(stage.told_failures().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_doubt_and_was_told_at_last_goes_on() {
    let stage = Stage::told([Act::Doubt, Act::Hang]);
    assert_eq!(stage.run(answering).await.unwrap().status(), 201);
    assert_eq!((stage.shop.calls().len(), stage.shop.effect_keys()), (3, 1));
    let stage = Stage::told([Act::Hang, Act::Refuse]);
    assert_eq!(stage.run(answering).await.unwrap().status(), 402);
}

#[tokio::test(start_paused = true)]
async fn of_an_atomic_step_there_is_no_doubt() {
    let stage = Stage::told([Act::Hang, Act::Doubt, Act::Away]);
    assert_eq!(stage.run(booking).await.unwrap().status(), 503);
    assert_eq!(stage.store.get("booked"), None);
    assert!(stage.told_failures().await.iter().all(|failed| !failed.3));
}

#[tokio::test(start_paused = true)]
async fn the_step_says_what_an_error_means_that_does_not_say_it_itself() {
    let stage = Stage::told([Act::Away; 3]);
    assert!(matches!(stage.run(judging).await.unwrap_err(), Error::NeedsAttention { .. }));
    assert!(stage.told_failures().await.iter().all(|failed| failed.3));
    let stage = Stage::told([Act::Busy(SECOND); 3]);
    assert_eq!(stage.run(judging).await.unwrap().status(), 503);
    let stage = Stage::told([Act::Busy(2 * SECOND)]);
    assert_eq!(stage.run(judging).await.unwrap().status(), 500);
    let stage = Stage::told([Act::Refuse]);
    assert_eq!(stage.run(judging).await.unwrap().status(), 402, "an answer is not judged");
    assert!(stage.store.find(&key()).await.unwrap().unwrap().last_error.is_none());
}
