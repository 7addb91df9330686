//! `Trial` and `Faulty` themselves, over `Memory`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use workflow::{
    Atomic, Error, Foreign, Halt, Key, RecoveryPoint, Response, Runner, Step, Store, StoreError, Workflow,
};
use workflow_testkit::{Fault, Faulty, How, Memory, MemoryConn, Trial};

#[derive(Serialize, Deserialize)]
struct Cart {
    cents: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct OrderCreated {
    order_id: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct PaymentCaptured {
    charge_id: String,
}

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for OrderCreated {
    const NAME: &'static str = "order_created";
}

impl RecoveryPoint for PaymentCaptured {
    const NAME: &'static str = "payment_captured";
}

type Atom<'c> = Atomic<'c, MemoryConn, (), Cart>;

async fn create_order(cx: Atom<'_>, _: Cart) -> Step<OrderCreated> {
    Ok(OrderCreated { order_id: cx.conn.add("orders", 1) })
}

async fn capture_payment(cx: Foreign<'_, (), Cart>, order: OrderCreated) -> Step<PaymentCaptured> {
    match cx.request().cents {
        0 => Err(Halt::of("the gateway is away")),
        ..0 => Err(Response::new(402, json!({ "error": "declined" })))?,
        _ => Ok(PaymentCaptured { charge_id: format!("ch_{}", order.order_id) }),
    }
}

async fn stage_receipt(cx: Atom<'_>, paid: PaymentCaptured) -> Step<Response> {
    cx.stage("receipt", &paid)?;
    Ok(Response::json(201, &paid)?)
}

fn checkout() -> Workflow<MemoryConn, (), Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn key() -> Key {
    Key::new("tenant", "8e03978e").unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_trial_starts_at_the_request() {
    let store = Memory::new();
    let tried = Trial::of(checkout, Cart { cents: 5 }).on(&store, ()).step().await;
    assert_eq!(tried.reached::<OrderCreated>().order_id, 1);
    assert_eq!(tried.step(), "create_order");
    assert_eq!(store.get("orders"), Some(1.into()), "what the step wrote is committed");
    let row = store.find(tried.key()).await.unwrap().unwrap();
    assert_eq!(row.recovery_point, "order_created");
    assert!(row.lease_left.is_zero(), "and the key is free");
}

#[tokio::test]
async fn a_trial_starts_at_a_planted_point() {
    let store = Memory::new();
    let order = OrderCreated { order_id: 7 };
    let tried = Trial::of(checkout, Cart { cents: 5 }).on(&store, ()).at(order).step().await;
    assert_eq!(tried.reached::<PaymentCaptured>().charge_id, "ch_7");
    assert_eq!(tried.step(), "capture_payment");
    assert!(store.get("orders").is_none(), "no other step has run");
}

#[tokio::test]
async fn a_trial_shows_the_response_and_the_jobs() {
    let store = Memory::new();
    let paid = PaymentCaptured { charge_id: "ch_7".into() };
    let tried = Trial::of(checkout, Cart { cents: 5 }).on(&store, ()).at(paid).step().await;
    assert_eq!(tried.response().status(), 201);
    assert_eq!(tried.jobs(), store.jobs());
    assert_eq!(tried.jobs()[0].kind, "receipt");
}

#[tokio::test]
async fn a_trial_tells_a_refusal_from_an_error() {
    let store = Memory::new();
    let order = || OrderCreated { order_id: 7 };
    let refused = Trial::of(checkout, Cart { cents: -1 }).on(&store, ()).at(order()).step().await;
    assert_eq!(refused.response().status(), 402);
    let failed = Trial::of(checkout, Cart { cents: 0 }).on(&store, ()).at(order()).step().await;
    assert!(matches!(failed.error(), Error::Step { step: "capture_payment", .. }));
    assert_eq!(failed.step(), "capture_payment");
    assert!(failed.jobs().is_empty());
}

#[tokio::test]
#[should_panic = "expected recovery point `payment_captured`, but the step reached recovery point `order_created`"]
async fn a_trial_says_what_was_reached_instead() {
    let tried = Trial::of(checkout, Cart { cents: 5 }).on(&Memory::new(), ()).step().await;
    tried.reached::<PaymentCaptured>();
}

#[tokio::test]
#[should_panic = "expected a response, but the step reached nothing"]
async fn a_trial_says_why_nothing_was_reached() {
    let order = OrderCreated { order_id: 7 };
    let tried = Trial::of(checkout, Cart { cents: 0 }).on(&Memory::new(), ()).at(order).step().await;
    tried.response();
}

#[tokio::test]
async fn a_faulty_store_counts_the_calls_of_all_its_clones() {
    let store = Faulty::new(Memory::new(), []);
    let runner = Runner::builder(store.clone(), ()).with(checkout).build().unwrap();
    runner.run(checkout, key(), Cart { cents: 5 }).await.unwrap();
    let expected = ["insert", "begin", "advance_in", "commit", "begin", "advance_in", "commit"];
    assert_eq!((store.calls(), store.fired()), (expected.to_vec(), 0));
    store.heart().heartbeat(&[], std::time::Duration::ZERO).await.unwrap();
    assert_eq!(store.calls().len(), expected.len(), "the heartbeat beats when it likes");
}

#[tokio::test]
async fn a_call_that_fails_before_is_not_made_and_one_that_fails_after_is() {
    for (how, expected) in [(How::Before, None), (How::After, Some(1.into()))] {
        let store = Faulty::new(Memory::new(), [Fault { at: 2, how }]);
        let mut tx = store.begin().await.unwrap();
        tx.put("n", 1);
        match (how, store.commit(tx).await) {
            (How::Before, Err(StoreError::Away { doing: "commit", .. })) => {}
            (How::After, Err(StoreError::InDoubt { doing: "commit", .. })) => {}
            (_, committed) => panic!("{committed:?}"),
        }
        assert_eq!(store.inner().get("n"), expected);
        assert_eq!(store.fired(), 1);
        drop(store.begin().await.unwrap());
    }
}

#[tokio::test]
async fn a_transaction_in_an_abandoned_call_is_dropped_with_its_process_only() {
    for (how, expected) in [(How::AbandonBefore, None), (How::AbandonAfter, Some(1.into()))] {
        let memory = Memory::new();
        let store = Faulty::new(memory.clone(), [Fault { at: 2, how }]);
        let dying = store.clone();
        let task = tokio::spawn(async move {
            let mut tx = dying.begin().await.unwrap();
            tx.put("n", 1);
            dying.commit(tx).await
        });
        store.abandoned().await;
        assert_eq!(memory.get("n"), expected);
        assert!(!task.is_finished());
        let waiting = tokio::spawn(async move { memory.begin().await.map(drop) });
        task.abort();
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_held_call_is_made_when_it_is_let_go() {
    let store = Faulty::new(Memory::new(), [Fault { at: 1, how: How::Hold }]);
    let shared = Arc::new(store.clone());
    let asking = tokio::spawn(async move { shared.find(&key()).await.map(|row| row.is_none()) });
    store.held().await;
    assert!(!asking.is_finished());
    store.let_go();
    assert!(asking.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_process_dies_at_an_abandoned_call_and_leaves_its_transaction_undone() {
    let memory = Memory::new();
    let store = Faulty::new(memory.clone(), [Fault { at: 3, how: How::AbandonAfter }]);
    let runner = || Runner::builder(store.clone(), ()).with(checkout).build().unwrap();
    let key = key();
    let died = store.process(runner().run(checkout, key.clone(), Cart { cents: 5 })).await;
    assert!(died.is_none());
    assert!(memory.get("orders").is_none());
    let error = runner().run(checkout, key.clone(), Cart { cents: 5 }).await.unwrap_err();
    assert!(matches!(error, Error::InProgress { .. }), "the dead have their lease");
    memory.clock().advance(std::time::Duration::from_secs(30));
    let answered = store.process(runner().run(checkout, key, Cart { cents: 5 })).await.unwrap().unwrap();
    assert_eq!(answered.status(), 201);
    assert_eq!(memory.get("orders"), Some(1.into()));
}
