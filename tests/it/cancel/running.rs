//! A run has the key: it sees the cancel at the end of its step, at the latest.

use std::time::Duration;

use workflow::seam::Status;
use workflow::{Answered, Error, Runner};
use workflow_testkit::Memory;

use super::shop::{
    Act, Cart, LEASE, Shop, by_the_caller, checkout, is_replayed, journal, key, noted, status,
};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

const UNDONE: &str = "reserved paid charge.cancelled charge.undone reserve.undone finished";

async fn a_charge_under_way_is_recorded_and_given_back<S: Noted>(stage: Stage<S>) {
    for hold in [&[Act::HoldBefore], &[Act::HoldAfter]] {
        let (shop, key) = (Shop::told("charge", &[hold]), key(&format!("{hold:?}")));
        let runner = shop.runner(&stage.store);
        let run = shop.held(&runner, &key).await;
        let busy = runner.cancel(key.clone(), Some(by_the_caller())).await.unwrap_err();
        assert!(matches!(busy, Error::InProgress { .. }), "{busy}");
        assert_eq!(status(&stage.store, &key).await, Status::Running);
        shop.open();
        let answered = run.await.unwrap().unwrap();
        assert_eq!(answered.response(), &by_the_caller());
        assert_eq!(journal(&stage.store, &key).await, UNDONE);
        assert_eq!(noted(&stage.store, &key).await, ["released", "reserved"]);
        assert_eq!(
            (shop.called("charge").len(), shop.called("refund").len()),
            (1, 1),
            "it is not asked twice"
        );
        assert_eq!(shop.charges(), (1, 0));
        is_replayed(&shop, &stage.store, &key, &by_the_caller()).await;
    }
}

/// The run may have ended before it is asked what came of it.
fn is_told(cancelled: Result<Answered, Error>) {
    match cancelled {
        Ok(answered) => assert_eq!(answered.status(), 409),
        Err(Error::InProgress { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// On SQLite and in memory the transaction of the step has the writer, and the cancel waits for it.
async fn of_an_atomic_step_under_way_and_a_cancel_one_wins<S: Noted>(stage: Stage<S>) {
    let cancel_is_first =
        stage.database.as_ref().is_some_and(|database| database.url.starts_with("postgres"));
    for (step, points) in [
        ("reserve", "reserve.cancelled finished"),
        // The point of the charge was carried into the transaction of `place`.
        ("place", UNDONE),
    ] {
        let (shop, key) = (Shop::told(step, &[&[Act::HoldAfter]]), key(step));
        let runner = shop.runner(&stage.store);
        let run = shop.held(&runner, &key).await;
        let mut cancel = tokio::spawn(runner.cancel(key.clone(), None));
        if cancel_is_first {
            let cancelled = (&mut cancel).await.unwrap();
            assert!(matches!(cancelled, Err(Error::InProgress { .. })), "{cancelled:?}");
            cancel = tokio::spawn(std::future::ready(cancelled));
        }
        shop.open();
        let (ran, cancelled) = (run.await.unwrap().unwrap(), cancel.await.unwrap());
        if let Err(Error::TooLate { .. }) = cancelled {
            assert!(!cancel_is_first && ran.status() == 201);
            assert_eq!(noted(&stage.store, &key).await, ["placed", "reserved"]);
            continue;
        }
        assert_eq!((ran.status(), ran.body()), (409, &br#"{"error":"cancelled by the shop"}"#[..]));
        assert!(shop.charges().1 == 0 && shop.called("ship").is_empty());
        assert!(!noted(&stage.store, &key).await.contains(&"placed".to_owned()));
        if cancel_is_first {
            assert_eq!(journal(&stage.store, &key).await, points);
            assert_eq!(shop.called("charge").len(), usize::from(step == "place"));
        }
    }
}

async fn a_step_that_heeds_its_token_ends_at_once<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("charge", &[&[Act::Heed]]), key("k"));
    let runner = shop.runner(&stage.store);
    let run = shop.held(&runner, &key).await;
    is_told(runner.cancel(key.clone(), None).await);
    assert_eq!(run.await.unwrap().unwrap().status(), 409);
    // It did not know whether it had charged: it was asked again, and given back what that was.
    assert_eq!(journal(&stage.store, &key).await, UNDONE);
    let calls = shop.called("charge");
    assert!(calls.len() == 2 && calls[0] == calls[1], "{calls:?}");
    assert_eq!((shop.charges(), shop.called("refund").len()), ((1, 0), 1));
}

/// Its runner has another process's store: it hears by its heartbeat.
async fn a_step_in_another_process_hears_of_the_cancel_by_the_heartbeat<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("charge", &[&[Act::Heed]]), key("k"));
    let elsewhere = Runner::builder(S::again(&stage).await, shop.clone())
        .lease(LEASE)
        .heartbeat(Duration::from_millis(10))
        .with(checkout::<S::Conn>)
        .build()
        .unwrap();
    let run = shop.held(&elsewhere, &key).await;
    is_told(shop.runner(&stage.store).cancel(key.clone(), None).await);
    assert_eq!(run.await.unwrap().unwrap().status(), 409);
    assert_eq!(journal(&stage.store, &key).await, UNDONE);
    assert_eq!(shop.charges(), (1, 0));
}

async fn a_step_that_fails_is_not_tried_again_when_that_did_nothing<S: Noted>(stage: Stage<S>) {
    const ACTS: [(&[Act], usize, usize); 3] = [
        (&[Act::HoldBefore, Act::Fail], 1, 0),
        (&[Act::HoldBefore, Act::Lost], 2, 1),
        (&[Act::HoldBefore, Act::NoReply], 2, 1),
    ];
    for (acts, calls, charges) in ACTS {
        let (shop, key) = (Shop::told("charge", &[acts]), key(&format!("{acts:?}")));
        let runner = shop.runner(&stage.store);
        let run = shop.held(&runner, &key).await;
        assert!(matches!(runner.cancel(key.clone(), None).await, Err(Error::InProgress { .. })));
        shop.open();
        assert_eq!(run.await.unwrap().unwrap().status(), 409);
        assert_eq!((shop.called("charge").len(), shop.charges()), (calls, (charges, 0)), "{acts:?}");
        assert_eq!(shop.called("refund").len(), charges);
        let row = stage.store.find(&key).await.unwrap().unwrap();
        let failures = stage.store.failures(&[row.id]).await.unwrap();
        assert_eq!((failures.len(), failures[0].in_doubt), (1, acts[1] != Act::Fail));
    }
}

async fn a_refusal_that_comes_after_the_cancel_is_not_the_answer<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::told("charge", &[&[Act::HoldBefore, Act::Refuse]]), key("k"));
    let runner = shop.runner(&stage.store);
    let run = shop.held(&runner, &key).await;
    assert!(matches!(runner.cancel(key.clone(), None).await, Err(Error::InProgress { .. })));
    shop.open();
    assert_eq!(run.await.unwrap().unwrap().status(), 409);
    assert_eq!(journal(&stage.store, &key).await, "reserved charge.cancelled reserve.undone finished");
    assert_eq!((shop.charges(), shop.called("charge").len()), ((0, 0), 1));
}

/// In virtual time: the pause would be an hour.
#[tokio::test(start_paused = true)]
async fn a_pause_between_two_attempts_is_not_waited_for() {
    use workflow::{Foreign, Halt, Response, Retry, Step, Workflow};
    use workflow_testkit::MemoryConn;

    const HOUR: Duration = Duration::from_secs(3600);
    async fn fails(_: Foreign<'_, (), Cart>, _: Cart) -> Step<super::shop::Reserved> {
        Err(Halt::of("away"))
    }
    async fn answer(_: Foreign<'_, (), Cart>, _: super::shop::Reserved) -> Step<Response> {
        Ok(Response::empty(201))
    }
    fn patient() -> Workflow<MemoryConn, (), Cart> {
        let retry = Retry::times(9).backoff(HOUR, 1.0, HOUR).without_jitter().in_place(HOUR);
        Workflow::new("patient").foreign("fails", fails).retry(retry).foreign("answer", answer).build()
    }
    let runner = Runner::builder(Memory::new(), ()).with(patient).build().unwrap();
    let run = tokio::spawn(runner.run(patient, key("k"), Cart));
    // Virtual time goes on only when all tasks wait: the run is in its pause then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = tokio::time::Instant::now();
    is_told(runner.cancel(key("k"), None).await);
    let answered = run.await.unwrap().unwrap();
    assert_eq!((answered.status(), answered.body()), (409, &br#"{"error":"cancelled"}"#[..]));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

everywhere!(
    a_charge_under_way_is_recorded_and_given_back,
    of_an_atomic_step_under_way_and_a_cancel_one_wins,
    a_step_that_heeds_its_token_ends_at_once,
    a_step_in_another_process_hears_of_the_cancel_by_the_heartbeat,
    a_step_that_fails_is_not_tried_again_when_that_did_nothing,
    a_refusal_that_comes_after_the_cancel_is_not_the_answer,
);
