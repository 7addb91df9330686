//! A shop whose gateway does as it is told, attempt by attempt, and notes when it was called.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;
use workflow::seam::FailedAttempt;
use workflow::{
    Answered, Atomic, Clock, Defines, Error, Foreign, Halt, InDoubt, Key, RecoveryPoint, Response,
    RetryAfter, Runner, Step, Store,
};
use workflow_testkit::{Memory, MemoryConn};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What the gateway does at one attempt. When it has been told nothing more, it charges.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Away,
    Doubt,
    Busy(Duration),
    Hang,
    Panic,
    Refuse,
    Die,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Cart;

#[derive(Serialize, Deserialize)]
pub(super) struct Paid;

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Paid {
    const NAME: &'static str = "paid";
}

pub(super) struct Shop {
    acts: Mutex<VecDeque<Act>>,
    began: Instant,
    calls: Mutex<Vec<Call>>,
}

/// One attempt, as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) at: Duration,
    pub(super) attempt: u32,
    pub(super) effect_key: Uuid,
    pub(super) time_left: Option<Duration>,
}

impl Shop {
    pub(super) fn told(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        let acts = Mutex::new(acts.into_iter().collect());
        Arc::new(Self { acts, began: Instant::now(), calls: Mutex::default() })
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// After how many seconds the gateway was called.
    pub(super) fn seconds(&self) -> Vec<f64> {
        self.calls().iter().map(|call| call.at.as_secs_f64()).collect()
    }

    pub(super) fn effect_keys(&self) -> usize {
        let mut keys: Vec<_> = self.calls().iter().map(|call| call.effect_key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    }

    fn called(&self, attempt: u32, effect_key: Uuid, deadline: Option<Instant>) -> Option<Act> {
        let now = Instant::now();
        let time_left = deadline.map(|deadline| deadline - now);
        self.calls.lock().unwrap().push(Call { at: now - self.began, attempt, effect_key, time_left });
        self.acts.lock().unwrap().pop_front()
    }

    async fn act(&self, act: Option<Act>) -> Step<()> {
        match act {
            None => Ok(()),
            Some(Act::Away) => Err(Halt::of("the gateway is away")),
            Some(Act::Doubt) => Err(InDoubt::new("the gateway hung up").into()),
            Some(Act::Busy(after)) => Err(RetryAfter::new(after, "the gateway is busy").into()),
            Some(Act::Hang | Act::Die) => std::future::pending().await,
            Some(Act::Panic) => panic!("planned"),
            Some(Act::Refuse) => Err(Response::new(402, json!({ "error": "declined" })).into()),
        }
    }
}

pub(super) async fn pay(cx: Foreign<'_, Shop, Cart>, _: Cart) -> Step<Paid> {
    let act = cx.app.called(cx.attempt(), cx.effect_key(), cx.deadline());
    cx.app.act(act).await?;
    Ok(Paid)
}

/// An atomic step that fails as it is told, after it has written.
pub(super) async fn book(cx: Atomic<'_, MemoryConn, Shop, Cart>, _: Cart) -> Step<Paid> {
    cx.conn.add("booked", 1);
    let act = cx.app.called(cx.attempt(), Uuid::nil(), cx.deadline());
    cx.app.act(act).await?;
    Ok(Paid)
}

pub(super) async fn answer(cx: Atomic<'_, MemoryConn, Shop, Cart>, _: Paid) -> Step<Response> {
    cx.conn.add("orders", 1);
    Ok(Response::empty(201))
}

pub(super) fn key() -> Key {
    Key::new("tenant", "k").unwrap()
}

/// A shop on a store in memory.
pub(super) struct Stage {
    pub(super) store: Memory,
    pub(super) clock: Clock,
    pub(super) shop: Arc<Shop>,
}

impl Stage {
    pub(super) fn told(acts: impl IntoIterator<Item = Act>) -> Self {
        let clock = Clock::default();
        Self { store: Memory::new().with_clock(clock.clone()), clock, shop: Shop::told(acts) }
    }

    pub(super) fn runner<W: Defines<MemoryConn, Shop, Cart>>(&self, workflow: W) -> Runner<Memory, Shop> {
        Runner::builder(self.store.clone(), self.shop.clone()).with(workflow).build().unwrap()
    }

    pub(super) async fn run<W: Defines<MemoryConn, Shop, Cart>>(
        &self,
        workflow: W,
    ) -> Result<Answered, Error> {
        self.runner(workflow).run(workflow, key(), Cart).await
    }

    pub(super) async fn failures(&self) -> Vec<FailedAttempt> {
        let row = self.store.find(&key()).await.unwrap().unwrap();
        self.store.failures(&[row.id]).await.unwrap()
    }

    /// The failed attempts: which of which step, why, and whether in doubt.
    pub(super) async fn told_failures(&self) -> Vec<(i32, String, String, bool)> {
        let failures = self.failures().await.into_iter();
        failures.map(|failed| (failed.attempt, failed.step, failed.error, failed.in_doubt)).collect()
    }

    pub(super) async fn journal(&self) -> Vec<(String, i32)> {
        let row = self.store.find(&key()).await.unwrap().unwrap();
        let points = self.store.journal(&[row.id]).await.unwrap();
        points.into_iter().map(|point| (point.name, point.attempts)).collect()
    }
}
