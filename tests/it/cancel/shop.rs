//! A shop with a bank outside. Each step does, attempt by attempt, what it was told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;
use workflow::seam::Status;
use workflow::{
    Answered, Atomic, CancellationToken, Error, Foreign, Halt, InDoubt, Key, RecoveryPoint, Response, Retry,
    RetryAfter, Runner, Step, Store, Workflow,
};

use crate::phases::stage::{Noted, Notes};

/// So long that only the clock ends it.
pub(super) const LEASE: Duration = Duration::from_secs(3600);

/// What a step does at an attempt, one after the other. When it has been told nothing more, it does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Stops before its work, until the gate is opened.
    HoldBefore,
    /// Stops after its work, until the gate is opened.
    HoldAfter,
    /// Does not work, and says so.
    Fail,
    /// Does not work, and says when to ask again: in an hour.
    Busy,
    /// Does its work, and nobody hears of it.
    NoReply,
    /// Does not work, and nobody knows.
    Lost,
    /// Waits for its token, and does not work.
    Heed,
    /// Does not work, for good.
    Refuse,
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
    Cart = "started";
    Reserved = "reserved";
    Placed = "placed";
}

/// With the charge, which is what the undo takes back.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Paid(Uuid);

impl RecoveryPoint for Paid {
    const NAME: &'static str = "paid";
}

pub(super) struct Shop {
    /// Of each step, attempt by attempt.
    acts: Mutex<HashMap<&'static str, VecDeque<&'static [Act]>>>,
    arrived: Semaphore,
    gate: Semaphore,
    calls: Mutex<Vec<(&'static str, Uuid)>>,
    /// Whether the charge of this key was given back.
    bank: Mutex<BTreeMap<Uuid, bool>>,
}

impl Shop {
    pub(super) fn told(step: &'static str, acts: &[&'static [Act]]) -> Arc<Self> {
        Arc::new(Self {
            acts: Mutex::new(HashMap::from([(step, acts.iter().copied().collect())])),
            arrived: Semaphore::new(0),
            gate: Semaphore::new(0),
            calls: Mutex::default(),
            bank: Mutex::default(),
        })
    }

    pub(super) fn runner<S: Store<Conn: Notes>>(self: &Arc<Self>, store: &S) -> Runner<S, Self> {
        Runner::builder(store.clone(), self.clone()).lease(LEASE).with(checkout::<S::Conn>).build().unwrap()
    }

    /// Starts a run, and returns when it stands at the gate.
    pub(super) async fn held<S: Store<Conn: Notes>>(
        self: &Arc<Self>,
        runner: &Runner<S, Self>,
        key: &Key,
    ) -> tokio::task::JoinHandle<Result<Answered, Error>> {
        let run = tokio::spawn(runner.run(checkout::<S::Conn>, key.clone(), Cart));
        self.arrived().await;
        run
    }

    /// Returns when a step has arrived where it holds or heeds.
    pub(super) async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub(super) fn open(&self) {
        self.gate.add_permits(1);
    }

    /// By which effect keys a foreign step or undo was called.
    pub(super) fn called(&self, name: &str) -> Vec<Uuid> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(called, _)| *called == name).map(|(_, key)| *key).collect()
    }

    /// How many charges there are, and how many of them are not given back.
    pub(super) fn charges(&self) -> (usize, usize) {
        let bank = self.bank.lock().unwrap();
        (bank.len(), bank.values().filter(|refunded| !**refunded).count())
    }

    async fn stop(&self) {
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
    }

    fn acts(&self, step: &'static str) -> &'static [Act] {
        let mut acts = self.acts.lock().unwrap();
        acts.get_mut(step).and_then(VecDeque::pop_front).unwrap_or_default()
    }

    async fn before(&self, acts: &[Act], token: CancellationToken) -> Step<()> {
        for act in acts {
            match act {
                Act::HoldBefore => self.stop().await,
                Act::Fail => Err(Halt::of("it failed"))?,
                Act::Busy => Err(RetryAfter::new(LEASE, "busy"))?,
                Act::Lost => Err(InDoubt::new("nobody answered"))?,
                Act::Refuse => Err(Response::new(402, json!({ "error": "refused" })))?,
                Act::Heed => {
                    self.arrived.add_permits(1);
                    token.cancelled().await;
                    Err(InDoubt::new("it was told to stop"))?;
                }
                Act::HoldAfter | Act::NoReply => {}
            }
        }
        Ok(())
    }

    async fn after(&self, acts: &[Act]) -> Step<()> {
        for act in acts {
            match act {
                Act::HoldAfter => self.stop().await,
                Act::NoReply => Err(InDoubt::new("nobody answered"))?,
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) fn checkout<C: Notes>() -> Workflow<C, Shop, Cart> {
    let retry = Retry::times(3).backoff(Duration::from_millis(1), 1.0, Duration::from_millis(1));
    Workflow::new("checkout")
        .cancelled(Response::new(409, json!({ "error": "cancelled by the shop" })))
        .atomic("reserve", reserve::<C>)
        .undo(release::<C>)
        .foreign("charge", charge)
        .retry(retry)
        .exhausted(|_| Response::empty(503))
        .undo(refund)
        .atomic("place", place::<C>)
        .point_of_no_return()
        .foreign("ship", ship)
        .build()
}

type Atom<'c, C> = Atomic<'c, C, Shop, Cart>;
type Call<'c> = Foreign<'c, Shop, Cart>;

async fn reserve<C: Notes>(cx: Atom<'_, C>, _: Cart) -> Step<Reserved> {
    let acts = cx.app.acts("reserve");
    cx.app.before(acts, cx.cancellation()).await?;
    cx.conn.note(&format!("{} reserved", cx.key.value())).await.map_err(Halt::of)?;
    cx.app.after(acts).await?;
    Ok(Reserved)
}

async fn release<C: Notes>(cx: Atom<'_, C>, _: Reserved) -> Step<()> {
    cx.conn.note(&format!("{} released", cx.key.value())).await.map_err(Halt::of)
}

async fn charge(cx: Call<'_>, _: Reserved) -> Step<Paid> {
    cx.app.calls.lock().unwrap().push(("charge", cx.effect_key()));
    let acts = cx.app.acts("charge");
    cx.app.before(acts, cx.cancellation()).await?;
    cx.app.bank.lock().unwrap().entry(cx.effect_key()).or_default();
    cx.app.after(acts).await?;
    Ok(Paid(cx.effect_key()))
}

async fn refund(cx: Call<'_>, paid: Paid) -> Step<()> {
    cx.app.calls.lock().unwrap().push(("refund", cx.effect_key()));
    *cx.app.bank.lock().unwrap().get_mut(&paid.0).unwrap() = true;
    Ok(())
}

async fn place<C: Notes>(cx: Atom<'_, C>, _: Paid) -> Step<Placed> {
    let acts = cx.app.acts("place");
    cx.app.before(acts, cx.cancellation()).await?;
    cx.conn.note(&format!("{} placed", cx.key.value())).await.map_err(Halt::of)?;
    cx.app.after(acts).await?;
    Ok(Placed)
}

async fn ship(cx: Call<'_>, _: Placed) -> Step<Response> {
    cx.app.calls.lock().unwrap().push(("ship", cx.effect_key()));
    let acts = cx.app.acts("ship");
    cx.app.before(acts, cx.cancellation()).await?;
    Ok(Response::empty(201))
}

pub(super) fn key(value: &str) -> Key {
    Key::new("tenant", value).unwrap()
}

pub(super) fn by_the_caller() -> Response {
    Response::new(410, json!({ "error": "cancelled by the caller" }))
}

/// What the atomic steps of a key have noted.
pub(super) async fn noted<S: Noted>(store: &S, key: &Key) -> Vec<String> {
    let (notes, prefix) = (store.notes().await, format!("{} ", key.value()));
    notes.iter().filter_map(|note| note.strip_prefix(&prefix)).map(str::to_owned).collect()
}

/// The points of a key, in order.
pub(super) async fn journal<S: Store>(store: &S, key: &Key) -> String {
    let row = store.find(key).await.unwrap().unwrap();
    let points = store.journal(&[row.id]).await.unwrap();
    points.into_iter().map(|point| point.name).collect::<Vec<_>>().join(" ")
}

pub(super) async fn status<S: Store>(store: &S, key: &Key) -> Status {
    store.find(key).await.unwrap().unwrap().status
}

/// Another call gets the same answer, to the byte, and does nothing.
pub(super) async fn is_replayed<S: Store<Conn: Notes>>(
    shop: &Arc<Shop>,
    store: &S,
    key: &Key,
    answer: &Response,
) {
    let replayed = shop.runner(store).run(checkout::<S::Conn>, key.clone(), Cart).await.unwrap();
    assert!(replayed.replayed() && replayed.response() == answer, "{replayed:?}");
}
