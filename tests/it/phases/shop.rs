//! Workflows of plain steps, named by letters: atomic ones (a to e) write a note, foreign ones (f, g) note their effect
//! key. Each does what a case has planned for its next call, or succeeds.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;
use workflow::{
    Answered, Atomic, Error, Foreign, Halt, Key, RecoveryPoint, Response, Runner, RunnerBuilder, Step, Store,
    Workflow,
};

use super::stage::{Noted, Notes};

/// So long that only the clock ends it.
pub(super) const LEASE: Duration = Duration::from_secs(3600);

const POINTS: [&str; 6] = ["started", "one", "two", "three", "four", "five"];

/// The numbers of data that is readable once, and those of it that were read.
static NEXT: AtomicU64 = AtomicU64::new(1);
static READ: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// The `N`th point; the request is the first.
#[derive(Clone, Default)]
pub(super) struct Point<const N: usize>(Data);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Data {
    #[default]
    Good,
    Unreadable,
    Unwritable,
}

impl<const N: usize> RecoveryPoint for Point<N> {
    const NAME: &'static str = POINTS[N];
}

impl<const N: usize> Serialize for Point<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Data::Unwritable => Err(ser::Error::custom("planned: it cannot be written")),
            Data::Good => serializer.serialize_u64(0),
            Data::Unreadable => serializer.serialize_u64(NEXT.fetch_add(1, Ordering::SeqCst)),
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Point<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            0 => Ok(Self(Data::Good)),
            // What a step reaches is read once before it is written.
            number if READ.lock().unwrap().insert(number) => Ok(Self(Data::Good)),
            _ => Err(de::Error::custom("planned: it cannot be read")),
        }
    }
}

/// What a step does after its writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It fails, and may be tried again.
    Fail,
    /// It gives a final answer.
    Answer,
    Panic,
    /// What it reaches cannot be written.
    Unwritable,
    /// What it reaches cannot be read by the next step.
    Unreadable,
    /// Its connection is cut by the server.
    Cut,
    /// It waits until it is let go.
    Wait,
}

/// The application.
pub(super) struct Shop {
    /// By step: what it does, and how often still.
    plan: Mutex<HashMap<&'static str, (Act, usize)>>,
    ran: Mutex<Vec<&'static str>>,
    effects: Mutex<Vec<(&'static str, Uuid)>>,
    pub(super) waiting: Semaphore,
    pub(super) free: Semaphore,
}

impl Shop {
    pub(super) fn open() -> Arc<Self> {
        Arc::new(Self {
            plan: Mutex::default(),
            ran: Mutex::default(),
            effects: Mutex::default(),
            waiting: Semaphore::new(0),
            free: Semaphore::new(0),
        })
    }

    /// A shop in which one step does this at so many calls.
    pub(super) fn acting(step: &'static str, act: Act, calls: usize) -> Arc<Self> {
        let shop = Self::open();
        shop.plan.lock().unwrap().insert(step, (act, calls));
        shop
    }

    /// The calls of steps so far, in order.
    pub(super) fn ran(&self) -> String {
        self.ran.lock().unwrap().concat()
    }

    /// The effect keys with which this foreign step was called.
    pub(super) fn effects(&self, step: &str) -> Vec<Uuid> {
        let effects = self.effects.lock().unwrap();
        effects.iter().filter(|(of, _)| *of == step).map(|(_, key)| *key).collect()
    }

    /// Every step does what it should from now on.
    pub(super) fn heal(&self) {
        self.plan.lock().unwrap().clear();
    }

    fn planned(&self, step: &'static str) -> Option<Act> {
        self.ran.lock().unwrap().push(step);
        let mut plan = self.plan.lock().unwrap();
        let (act, left) = plan.get_mut(step)?;
        *left = left.checked_sub(1)?;
        Some(*act)
    }

    async fn act(&self, act: Option<Act>) -> Step<Data> {
        match act {
            None => Ok(Data::Good),
            Some(Act::Fail) => Err(Halt::of("planned: away")),
            Some(Act::Answer) => Err(Response::new(402, json!("planned: no")).into()),
            Some(Act::Panic) => panic!("planned"),
            Some(Act::Unwritable) => Ok(Data::Unwritable),
            Some(Act::Unreadable) => Ok(Data::Unreadable),
            Some(Act::Cut) => Err(Halt::of("a foreign step has no connection")),
            Some(Act::Wait) => {
                self.waiting.add_permits(1);
                self.free.acquire().await?.forget();
                Ok(Data::Good)
            }
        }
    }

    /// A runner that knows all of the workflows.
    pub(super) fn runner<S: Store<Conn: Notes>>(self: &Arc<Self>, store: &S) -> Runner<S, Self> {
        self.builder(store).lease(LEASE).build().unwrap()
    }

    pub(super) fn builder<S: Store<Conn: Notes>>(self: &Arc<Self>, store: &S) -> RunnerBuilder<S, Self> {
        let builder = Runner::builder(store.clone(), self.clone());
        builder.with(five).with(mixed).with(tail).with(checked)
    }

    /// Runs `tail` by this key.
    pub(super) async fn tail<S: Store<Conn: Notes>>(
        self: &Arc<Self>,
        store: &S,
        key: &Key,
    ) -> Result<Answered, Error> {
        self.runner(store).run(tail, key.clone(), Point::default()).await
    }
}

async fn write<C: Notes, const N: usize, const TO: usize>(
    cx: Atomic<'_, C, Shop, Point<0>>,
    _: Point<N>,
) -> Step<Point<TO>> {
    written(cx).await.map(Point)
}

async fn answer<C: Notes, const N: usize>(cx: Atomic<'_, C, Shop, Point<0>>, _: Point<N>) -> Step<Response> {
    answered(written(cx).await?)
}

async fn call<const N: usize, const TO: usize>(
    cx: Foreign<'_, Shop, Point<0>>,
    _: Point<N>,
) -> Step<Point<TO>> {
    called(cx).await.map(Point)
}

async fn call_and_answer<const N: usize>(cx: Foreign<'_, Shop, Point<0>>, _: Point<N>) -> Step<Response> {
    answered(called(cx).await?)
}

async fn written<C: Notes>(cx: Atomic<'_, C, Shop, Point<0>>) -> Step<Data> {
    let step = cx.step();
    let act = cx.app.planned(step);
    cx.conn.note(&format!("{} {step}", cx.key.value())).await.map_err(Halt::of)?;
    cx.stage(step, &())?;
    if act == Some(Act::Cut) {
        cx.conn.cut().await.map_err(Halt::of)?;
    }
    cx.app.act(act).await
}

async fn called(cx: Foreign<'_, Shop, Point<0>>) -> Step<Data> {
    let act = cx.app.planned(cx.step());
    cx.app.effects.lock().unwrap().push((cx.step(), cx.effect_key()));
    cx.app.act(act).await
}

/// A response that cannot be written is one with a header that is none.
fn answered(data: Data) -> Step<Response> {
    match data {
        Data::Good => Ok(Response::new(200, json!("done"))),
        _ => Ok(Response::empty(200).with_header("no header\n", "")),
    }
}

type Flow<C> = Workflow<C, Shop, Point<0>>;

/// a b c d e: one phase.
pub(super) fn five<C: Notes>() -> Flow<C> {
    Workflow::new("five")
        .atomic("a", write::<C, 0, 1>)
        .atomic("b", write::<C, 1, 2>)
        .atomic("c", write::<C, 2, 3>)
        .atomic("d", write::<C, 3, 4>)
        .atomic("e", answer::<C, 4>)
        .build()
}

/// a, f b, g: three phases.
pub(super) fn mixed<C: Notes>() -> Flow<C> {
    Workflow::new("mixed")
        .atomic("a", write::<C, 0, 1>)
        .foreign("f", call::<1, 2>)
        .atomic("b", write::<C, 2, 3>)
        .foreign("g", call_and_answer::<3>)
        .build()
}

/// f b c d: one phase, which carries the point of f.
pub(super) fn tail<C: Notes>() -> Flow<C> {
    Workflow::new("tail")
        .foreign("f", call::<0, 1>)
        .atomic("b", write::<C, 1, 2>)
        .atomic("c", write::<C, 2, 3>)
        .atomic("d", answer::<C, 3>)
        .build()
}

/// f, b, c, d e: f and c ask for commits of their own.
pub(super) fn checked<C: Notes>() -> Flow<C> {
    Workflow::new("checked")
        .foreign("f", call::<0, 1>)
        .checkpoint()
        .atomic("b", write::<C, 1, 2>)
        .atomic("c", write::<C, 2, 3>)
        .checkpoint()
        .atomic("d", write::<C, 3, 4>)
        .atomic("e", answer::<C, 4>)
        .build()
}

pub(super) fn key(value: &str) -> Key {
    Key::new("tenant", value).unwrap()
}

/// The points of a key as `step>point`.
pub(super) async fn journal<S: Noted>(store: &S, key: &Key) -> String {
    let row = store.find(key).await.unwrap().expect("a row");
    let points = store.journal(&[row.id]).await.unwrap();
    assert!(points.iter().map(|point| point.seq).eq(1..=i32::try_from(points.len()).unwrap()));
    let points: Vec<_> = points.iter().map(|point| format!("{}>{}", point.step, point.name)).collect();
    points.join(" ")
}

/// Which steps of this key have committed a note, each as often as it has.
pub(super) async fn noted<S: Noted>(store: &S, key: &Key) -> String {
    let notes = store.notes().await;
    let prefix = format!("{} ", key.value());
    notes.iter().filter_map(|note| note.strip_prefix(&prefix)).collect()
}
