//! Keys that another system has begun are planted where they stood there, and run from there on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use workflow::{Atomic, Error, Foreign, Key, Origin, RecoveryPoint, Response, Runner, Step, Store, Workflow};

use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

const LEASE: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
struct Cart {
    sku: String,
}

#[derive(Serialize, Deserialize)]
struct Taken {
    reservation: i64,
}

#[derive(Serialize, Deserialize)]
struct Paid {
    charge_id: String,
}

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Taken {
    const NAME: &'static str = "taken";
}

impl RecoveryPoint for Paid {
    const NAME: &'static str = "paid";
}

/// How often each was called: take, give back, pay, refund.
#[derive(Default)]
struct Shop([AtomicUsize; 4]);

impl Shop {
    fn count(&self, which: usize) {
        self.0[which].fetch_add(1, Ordering::SeqCst);
    }

    fn counts(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|which| self.0[which].load(Ordering::SeqCst))
    }
}

fn selling<C: Send + 'static>() -> Workflow<C, Shop, Cart> {
    Workflow::new("selling")
        .atomic("take", async |cx: Atomic<'_, C, Shop, Cart>, _: Cart| {
            cx.app.count(0);
            Step::Ok(Taken { reservation: 1 })
        })
        .undo(async |cx: Atomic<'_, C, Shop, Cart>, taken: Taken| {
            assert_eq!(taken.reservation, 7, "the point that was planted");
            cx.app.count(1);
            Step::Ok(())
        })
        .foreign("pay", async |cx: Foreign<'_, Shop, Cart>, _: Taken| {
            cx.app.count(2);
            Step::Ok(Paid { charge_id: "ch_here".into() })
        })
        .undo(async |cx: Foreign<'_, Shop, Cart>, _: Paid| {
            cx.app.count(3);
            Step::Ok(())
        })
        .atomic("answer", async |cx: Atomic<'_, C, Shop, Cart>, paid: Paid| match cx.request().sku.as_str() {
            "gone" => Err(Response::new(409, json!("gone")))?,
            _ => Step::Ok(Response::new(201, json!(paid.charge_id))),
        })
        .build()
}

fn runner<S: Store>(store: &S, shop: &Arc<Shop>) -> Runner<S, Shop> {
    Runner::builder(store.clone(), shop.clone()).with(selling).lease(LEASE).build().unwrap()
}

fn key() -> Key {
    Key::new("tenant", "k").unwrap()
}

fn origin() -> Origin {
    Origin { method: Some("POST".into()), path: Some("/sales".into()), ..Origin::default() }
}

fn cart(sku: &str) -> Cart {
    Cart { sku: sku.into() }
}

fn there() -> (Taken, Paid) {
    (Taken { reservation: 7 }, Paid { charge_id: "ch_there".into() })
}

async fn what_was_reached_there_is_not_done_again<S: Noted>(stage: Stage<S>) {
    let shop = Arc::new(Shop::default());
    let runner = runner(&stage.store, &shop);
    let call = || runner.call(selling, key(), cart("cd")).origin(origin());
    let (taken, paid) = there();
    assert!(call().adopt().reached(taken).reached(paid).plant().await.unwrap());
    assert_eq!(runner.status(&key()).await.unwrap().unwrap().recovery_point, "paid");
    let answered = call().run().await.unwrap();
    assert_eq!((answered.status(), answered.body()), (201, &br#""ch_there""#[..]));
    assert_eq!(shop.counts(), [0, 0, 0, 0]);
}

async fn it_can_be_undone_from_there<S: Noted>(stage: Stage<S>) {
    let shop = Arc::new(Shop::default());
    let runner = runner(&stage.store, &shop);
    let (taken, paid) = there();
    let adopt = runner.call(selling, key(), cart("gone")).adopt().reached(taken).reached(paid);
    assert!(adopt.plant().await.unwrap());
    assert_eq!(runner.resume(key()).await.unwrap().status(), 409);
    assert_eq!(shop.counts(), [0, 1, 0, 1]);
}

async fn what_was_answered_there_is_replayed<S: Noted>(stage: Stage<S>) {
    let shop = Arc::new(Shop::default());
    let runner = runner(&stage.store, &shop);
    let call = |sku| runner.call(selling, key(), cart(sku)).origin(origin());
    let answer = Response::new(201, json!("stored there"));
    assert!(call("cd").adopt().answered(answer.clone()).plant().await.unwrap());
    let answered = call("cd").run().await.unwrap();
    assert!(answered.replayed());
    assert_eq!(answered.body(), answer.body());
    assert!(matches!(call("lp").run().await, Err(Error::Mismatch { .. })));
    assert_eq!(shop.counts(), [0; 4]);
}

async fn a_key_that_is_here_stays_as_it_is<S: Noted>(stage: Stage<S>) {
    let shop = Arc::new(Shop::default());
    let runner = runner(&stage.store, &shop);
    let call = |sku| runner.call(selling, key(), cart(sku));
    assert!(call("cd").adopt().plant().await.unwrap());
    assert!(!call("cd").adopt().plant().await.unwrap());
    assert_eq!(call("cd").run().await.unwrap().body(), br#""ch_here""#);
    let (taken, paid) = there();
    assert!(!call("cd").adopt().reached(taken).reached(paid).plant().await.unwrap());
    assert!(matches!(call("lp").adopt().plant().await, Err(Error::Mismatch { .. })));
    assert_eq!(call("cd").run().await.unwrap().body(), br#""ch_here""#);
}

/// A planting that was killed between its two commits, as the insert of a run that never came further.
async fn a_planting_that_was_broken_off_goes_on<S: Noted>(stage: Stage<S>) {
    let shop = Arc::new(Shop::default());
    let runner = runner(&stage.store, &shop);
    let call = || runner.call(selling, key(), cart("cd"));
    assert!(call().adopt().plant().await.unwrap());
    let (taken, paid) = there();
    assert!(call().adopt().reached(taken).reached(paid).plant().await.unwrap());
    assert_eq!(call().run().await.unwrap().body(), br#""ch_there""#);
    assert_eq!(shop.counts(), [0; 4]);
}

async fn points_that_no_step_leads_along_are_refused<S: Noted>(stage: Stage<S>) {
    let shop = Arc::new(Shop::default());
    let runner = runner(&stage.store, &shop);
    let (_, paid) = there();
    let refused = runner.call(selling, key(), cart("cd")).adopt().reached(paid).plant().await;
    assert!(matches!(refused, Err(Error::UnknownPoint { point, .. }) if point == "paid"));
    assert!(runner.status(&key()).await.unwrap().is_none(), "nothing was claimed");
}

everywhere! {
    what_was_reached_there_is_not_done_again,
    it_can_be_undone_from_there,
    what_was_answered_there_is_replayed,
    a_key_that_is_here_stays_as_it_is,
    a_planting_that_was_broken_off_goes_on,
    points_that_no_step_leads_along_are_refused,
}
