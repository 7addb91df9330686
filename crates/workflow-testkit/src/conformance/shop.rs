//! What the cases that run whole workflows are made of: a shop with a checkout that acts as a case wants it to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;
use workflow::{
    Answered, Atomic, Error, Foreign, Halt, Key, RecoveryPoint, Response, Retry, Runner, Step, Store,
    Workflow,
};

use super::Factory;
use super::fixture::LEASE;

pub(super) type ConnOf<F> = <<F as Factory>::Store as Store>::Conn;

/// The request: a JSON object whose members stand in the order in which they were given.
#[derive(Clone)]
pub(super) struct Cart(Vec<(String, Value)>);

pub(super) fn cart(members: &[(&str, Value)]) -> Cart {
    Cart(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

/// Some request, where it does not matter which.
pub(super) fn any_cart() -> Cart {
    cart(&[("sku", json!("tea")), ("cents", json!(500))])
}

impl Serialize for Cart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Cart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Cart;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Cart, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Cart(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct OrderCreated {
    order_id: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PaymentCaptured {
    order_id: i64,
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

/// What a step does after its writes.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Fail,
    /// At its first attempt here.
    FailOnce,
    Panic,
    Refuse,
    Wait,
}

/// The application. A case that wants a step to fail once runs the key by two shops: one that fails, one that works.
pub(super) struct Shop<F> {
    factory: F,
    acts: HashMap<&'static str, Act>,
    ran: Mutex<Vec<&'static str>>,
    effect_keys: Mutex<Vec<Uuid>>,
    waiting: Semaphore,
    free: Semaphore,
}

impl<F: Factory> Shop<F> {
    pub(super) fn open(factory: &F) -> Arc<Self> {
        Self::acting(factory, [])
    }

    pub(super) fn acting(factory: &F, acts: impl IntoIterator<Item = (&'static str, Act)>) -> Arc<Self> {
        Arc::new(Self {
            factory: factory.clone(),
            acts: acts.into_iter().collect(),
            ran: Mutex::default(),
            effect_keys: Mutex::default(),
            waiting: Semaphore::new(0),
            free: Semaphore::new(0),
        })
    }

    /// The steps that were begun here.
    pub(super) fn ran(&self) -> Vec<&'static str> {
        self.ran.lock().unwrap().clone()
    }

    /// What the gateway was called with.
    pub(super) fn effect_keys(&self) -> Vec<Uuid> {
        self.effect_keys.lock().unwrap().clone()
    }

    /// Returns when a step waits.
    pub(super) async fn waits(&self) {
        self.waiting.acquire().await.unwrap().forget();
    }

    /// Lets one waiting step go on.
    pub(super) fn let_go(&self) {
        self.free.add_permits(1);
    }

    /// A runner with a lease so long, and so few heartbeats, that only the clock ends the one, and none interferes.
    pub(super) fn runner<S: Store<Conn = ConnOf<F>>>(self: &Arc<Self>, store: &S) -> Runner<S, Self> {
        let runner = Runner::builder(store.clone(), self.clone()).lease(LEASE).heartbeat(LEASE / 3);
        let runner = runner.with(checkout::<F>).with(stubborn::<F>).with(refund::<F>);
        runner.with(refundable::<F>).with(revocable::<F>).build().expect("a right definition")
    }

    /// The checkout of some cart by this key.
    pub(super) async fn checkout<S: Store<Conn = ConnOf<F>>>(
        self: &Arc<Self>,
        store: &S,
        key: &Key,
    ) -> Result<Answered, Error> {
        self.runner(store).run(checkout::<F>, key.clone(), any_cart()).await
    }

    async fn act(&self, step: &'static str) -> Step<()> {
        match self.acts.get(step) {
            None => Ok(()),
            Some(Act::FailOnce) if self.ran().iter().filter(|ran| **ran == step).count() > 1 => Ok(()),
            Some(Act::Fail | Act::FailOnce) => Err(Halt::of("the gateway is away")),
            Some(Act::Panic) => panic!("planned in {step}"),
            Some(Act::Refuse) => Err(Response::new(402, json!({ "error": "declined" })).into()),
            Some(Act::Wait) => {
                self.waiting.add_permits(1);
                self.free.acquire().await?.forget();
                Ok(())
            }
        }
    }
}

pub(super) fn checkout<F: Factory>() -> Workflow<ConnOf<F>, Shop<F>, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order::<F>)
        .foreign("capture_payment", capture_payment::<F>)
        .atomic("stage_receipt", stage_receipt::<F>)
        .build()
}

/// The same, which gives the money back when the receipt is refused.
pub(super) fn refundable<F: Factory>() -> Workflow<ConnOf<F>, Shop<F>, Cart> {
    Workflow::new("refundable")
        .atomic("create_order", create_order::<F>)
        .foreign("capture_payment", capture_payment::<F>)
        .undo(refund_payment::<F>)
        .atomic("stage_receipt", stage_receipt::<F>)
        .build()
}

/// The same, which takes back only what it wrote itself.
pub(super) fn revocable<F: Factory>() -> Workflow<ConnOf<F>, Shop<F>, Cart> {
    Workflow::new("revocable")
        .atomic("create_order", create_order::<F>)
        .undo(revoke_order::<F>)
        .foreign("capture_payment", capture_payment::<F>)
        .atomic("stage_receipt", stage_receipt::<F>)
        .build()
}

/// The same, each step of which is tried again.
pub(super) fn stubborn<F: Factory>() -> Workflow<ConnOf<F>, Shop<F>, Cart> {
    let retry = Retry::times(5).backoff(Duration::from_millis(1), 1.0, Duration::from_millis(1));
    Workflow::new("stubborn")
        .atomic("create_order", create_order::<F>)
        .retry(retry)
        .foreign("capture_payment", capture_payment::<F>)
        .retry(retry)
        .atomic("stage_receipt", stage_receipt::<F>)
        .retry(retry)
        .build()
}

/// Another workflow with the same request.
pub(super) fn refund<F: Factory>() -> Workflow<ConnOf<F>, Shop<F>, Cart> {
    Workflow::new("refund").foreign("give_back", give_back::<F>).build()
}

/// A build of the checkout that knows none of its points but the first.
pub(super) fn shortened<F: Factory>() -> Workflow<ConnOf<F>, Shop<F>, Cart> {
    Workflow::new("checkout").foreign("give_back", give_back::<F>).build()
}

async fn create_order<F: Factory>(cx: Atomic<'_, ConnOf<F>, Shop<F>, Cart>, _: Cart) -> Step<OrderCreated> {
    cx.app.ran.lock().unwrap().push("create_order");
    cx.app.factory.note(cx.conn, "order").await.map_err(Halt::of)?;
    cx.app.act("create_order").await?;
    Ok(OrderCreated { order_id: 7 })
}

async fn capture_payment<F: Factory>(
    cx: Foreign<'_, Shop<F>, Cart>,
    order: OrderCreated,
) -> Step<PaymentCaptured> {
    cx.app.ran.lock().unwrap().push("capture_payment");
    cx.app.effect_keys.lock().unwrap().push(cx.effect_key());
    cx.app.act("capture_payment").await?;
    Ok(PaymentCaptured { order_id: order.order_id })
}

async fn refund_payment<F: Factory>(cx: Foreign<'_, Shop<F>, Cart>, _: PaymentCaptured) -> Step<()> {
    cx.app.ran.lock().unwrap().push("refund_payment");
    Ok(())
}

async fn revoke_order<F: Factory>(cx: Atomic<'_, ConnOf<F>, Shop<F>, Cart>, _: OrderCreated) -> Step<()> {
    cx.app.ran.lock().unwrap().push("revoke_order");
    cx.app.factory.note(cx.conn, "no order").await.map_err(Halt::of)
}

async fn stage_receipt<F: Factory>(
    cx: Atomic<'_, ConnOf<F>, Shop<F>, Cart>,
    paid: PaymentCaptured,
) -> Step<Response> {
    cx.app.ran.lock().unwrap().push("stage_receipt");
    cx.app.factory.note(cx.conn, "receipt").await.map_err(Halt::of)?;
    cx.stage("receipt", &paid)?;
    cx.app.act("stage_receipt").await?;
    Ok(receipt())
}

async fn give_back<F: Factory>(cx: Foreign<'_, Shop<F>, Cart>, _: Cart) -> Step<Response> {
    cx.app.ran.lock().unwrap().push("give_back");
    cx.app.act("give_back").await?;
    Ok(Response::empty(204))
}

/// The checkout's response: any bytes, and a header that is given twice.
pub(super) fn receipt() -> Response {
    let body: Vec<u8> = (0..=255).chain([0]).collect();
    Response::with_body(201, "application/octet-stream", body)
        .with_header("X-Order", "7")
        .with_header("x-order", "\" % ' \\ ,")
}
