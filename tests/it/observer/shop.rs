//! A shop whose gateway does as it is told, and who notes what an observer is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use workflow::{
    Answered, Atomic, Error, Event, Foreign, Halt, InDoubt, Key, Observer, RecoveryPoint, Response, Retry,
    RetryAfter, Runner, Step, Store, Workflow,
};

use crate::phases::stage::Notes;

/// So long that only the clock ends it.
pub(super) const LEASE: Duration = Duration::from_secs(3600);

/// What the gateway does at an attempt. When it has been told nothing more, it charges.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// Charges when the gate is opened.
    Hold,
    Fail,
    /// Nobody knows whether it has charged.
    Lost,
    /// Says when to ask again: in an hour.
    Busy,
    Refuse,
    Panic,
}

macro_rules! points {
    ($($name:ident = $stored:literal;)+) => {
        $(#[derive(Clone, Serialize, Deserialize)]
        pub(super) struct $name;

        impl RecoveryPoint for $name {
            const NAME: &'static str = $stored;
        })+
    };
}

points! {
    Reserved = "reserved";
    Charged = "charged";
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Cart(pub(super) u32);

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}

pub(super) struct Shop {
    acts: Mutex<VecDeque<Act>>,
    arrived: Semaphore,
    gate: Semaphore,
}

impl Shop {
    pub(super) fn told(acts: &[Act]) -> Arc<Self> {
        let acts = Mutex::new(acts.iter().copied().collect());
        Arc::new(Self { acts, arrived: Semaphore::new(0), gate: Semaphore::new(0) })
    }

    pub(super) fn runner<S: Store<Conn: Notes>>(self: &Arc<Self>, store: &S, log: &Log) -> Runner<S, Self> {
        let runner = Runner::builder(store.clone(), self.clone()).lease(LEASE).observer(log.clone());
        runner.with(buy::<S::Conn>).build().unwrap()
    }

    /// Returns when the gateway holds a charge.
    pub(super) async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub(super) fn open(&self) {
        self.gate.add_permits(1);
    }
}

/// Buys the same thing.
pub(super) async fn bought<S: Store<Conn: Notes>>(
    runner: &Runner<S, Shop>,
    key: &Key,
) -> Result<Answered, Error> {
    runner.run(buy::<S::Conn>, key.clone(), Cart(1)).await
}

pub(super) fn buy<C: Notes>() -> Workflow<C, Shop, Cart> {
    let retry = Retry::times(3).backoff(Duration::from_millis(1), 1.0, Duration::from_millis(1));
    Workflow::new("buy")
        .atomic("reserve", reserve::<C>)
        .undo(release::<C>)
        .foreign("charge", charge)
        .retry(retry)
        .undo(refund)
        .foreign("ship", ship)
        .build()
}

async fn reserve<C: Notes>(cx: Atomic<'_, C, Shop, Cart>, _: Cart) -> Step<Reserved> {
    cx.conn.note("reserved").await.map_err(Halt::of)?;
    Ok(Reserved)
}

async fn release<C: Notes>(cx: Atomic<'_, C, Shop, Cart>, _: Reserved) -> Step<()> {
    cx.conn.note("released").await.map_err(Halt::of)
}

async fn charge(cx: Foreign<'_, Shop, Cart>, _: Reserved) -> Step<Charged> {
    let act = cx.app.acts.lock().unwrap().pop_front();
    match act {
        None => {}
        Some(Act::Hold) => {
            cx.app.arrived.add_permits(1);
            cx.app.gate.acquire().await?.forget();
        }
        Some(Act::Fail) => Err(Halt::of("it failed"))?,
        Some(Act::Lost) => Err(InDoubt::new("nobody answered"))?,
        Some(Act::Busy) => Err(RetryAfter::new(LEASE, "busy"))?,
        Some(Act::Refuse) => Err(Response::empty(402))?,
        Some(Act::Panic) => panic!("planned"),
    }
    Ok(Charged)
}

async fn refund(_: Foreign<'_, Shop, Cart>, _: Charged) -> Step<()> {
    Ok(())
}

async fn ship(_: Foreign<'_, Shop, Cart>, _: Charged) -> Step<Response> {
    Ok(Response::empty(201))
}

const SECRET: &str = "s3cret";

pub(super) fn key() -> Key {
    Key::new(format!("{SECRET}-tenant"), format!("{SECRET}-key")).unwrap()
}

/// What an observer was told, a line an event.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// What it was told since it was asked last.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        let (of, line) = match *event {
            Event::Claimed { workflow, claim } => (workflow, format!("claimed {}", claim.as_str())),
            Event::Replayed { workflow } => (workflow, "replayed".to_owned()),
            Event::Refused { workflow, why } => (workflow, format!("refused {}", why.as_str())),
            Event::Stepped { workflow, step, end, took } => {
                assert!(took < LEASE);
                (workflow, format!("{step} {}", end.as_str()))
            }
            Event::Undone { workflow, step, end, .. } => (workflow, format!("undo {step} {}", end.as_str())),
            Event::Fenced { workflow } => (workflow, "fenced".to_owned()),
            Event::LeaseLost { workflow } => (workflow, "lease lost".to_owned()),
            Event::Ended { workflow, end, .. } => (workflow, format!("ended {}", end.as_str())),
            ref other => ("", format!("{other:?}")),
        };
        let tells = of != "buy" || format!("{event:?}").contains(SECRET);
        self.0.lock().unwrap().push(if tells { format!("too much: {event:?}") } else { line });
    }
}
