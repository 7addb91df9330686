//! A workflow of five steps, each but the last with an undo: atomic, foreign, atomic, atomic, foreign. Step and undo note
//! what they do; one step refuses, and steps and undos fail as often as a case wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use workflow::{Atomic, Foreign, Halt, Key, RecoveryPoint, Response, Retry, Runner, Step, Store, Workflow};

use crate::phases::stage::{Noted, Notes};

/// So long that only the clock ends it.
pub(super) const LEASE: Duration = Duration::from_secs(3600);

const POINTS: [&str; 5] = ["started", "one", "two", "three", "four"];

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Point<const N: usize>(usize);

impl<const N: usize> RecoveryPoint for Point<N> {
    const NAME: &'static str = POINTS[N];
}

pub(super) type Request = Point<0>;

pub(super) const REQUEST: Request = Point(0);

#[derive(Default)]
pub(super) struct Shop {
    refuses: usize,
    fails: Mutex<HashMap<String, u32>>,
    hangs: Mutex<Option<String>>,
    calls: Mutex<Vec<(String, Uuid)>>,
}

impl Shop {
    /// The step of this number refuses.
    pub(super) fn refusing(step: usize) -> Arc<Self> {
        Arc::new(Self { refuses: step, ..Self::default() })
    }

    /// What is named like this fails so often.
    pub(super) fn fails(self: Arc<Self>, name: &str, times: u32) -> Arc<Self> {
        self.fails.lock().unwrap().insert(name.to_owned(), times);
        self
    }

    /// What is named like this does not return the next time.
    pub(super) fn hangs(self: Arc<Self>, name: &str) -> Arc<Self> {
        *self.hangs.lock().unwrap() = Some(name.to_owned());
        self
    }

    pub(super) fn runner<S: Store<Conn: Notes>>(self: &Arc<Self>, store: &S) -> Runner<S, Self> {
        let runner = Runner::builder(store.clone(), self.clone()).lease(LEASE);
        runner.with(five::<S::Conn>).build().unwrap()
    }

    /// The effect keys by which a foreign step or undo was called, each once, in order.
    pub(super) fn effect_keys(&self, name: &str) -> Vec<Uuid> {
        let mut keys: Vec<_> = self.called(name).into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    pub(super) fn called(&self, name: &str) -> Vec<Uuid> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(called, _)| called == name).map(|(_, key)| *key).collect()
    }

    async fn does(&self, name: &str) -> Step<()> {
        let hangs = self.hangs.lock().unwrap().take_if(|hangs| hangs == name).is_some();
        if hangs {
            std::future::pending::<()>().await;
        }
        if let Some(left) = self.fails.lock().unwrap().get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            Err(Halt::of(format!("{name} fails as planned")))?;
        }
        if self.refuses.to_string() == name {
            Err(Response::with_body(402, "text/plain", format!("no, says {name}").into_bytes()))?;
        }
        Ok(())
    }
}

pub(super) fn five<C: Notes>() -> Workflow<C, Shop, Request> {
    let retry = Retry::times(3).backoff(Duration::from_millis(1), 1.0, Duration::from_millis(1));
    Workflow::new("five")
        .atomic("a", atomic::<C, 0, 1>)
        .undo(take_back::<C, 1>)
        .foreign("b", foreign::<1, 2>)
        .undo(call_back::<2>)
        .retry(retry)
        .atomic("c", atomic::<C, 2, 3>)
        .retry(retry)
        .exhausted(|_| Response::empty(503))
        .undo(take_back::<C, 3>)
        .retry(retry)
        .atomic("d", atomic::<C, 3, 4>)
        .undo(take_back::<C, 4>)
        .retry(retry)
        .foreign("e", last)
        .build()
}

async fn atomic<C: Notes, const N: usize, const M: usize>(
    cx: Atomic<'_, C, Shop, Request>,
    _: Point<N>,
) -> Step<Point<M>> {
    cx.conn.note(&format!("{} {M}", cx.key.value())).await.map_err(Halt::of)?;
    cx.app.does(&M.to_string()).await?;
    Ok(Point(M * 11))
}

async fn take_back<C: Notes, const M: usize>(
    cx: Atomic<'_, C, Shop, Request>,
    reached: Point<M>,
) -> Step<()> {
    assert_eq!(reached.0, M * 11, "an undo is given what its step has reached");
    cx.conn.note(&format!("{} -{M}", cx.key.value())).await.map_err(Halt::of)?;
    cx.app.does(&format!("-{M}")).await
}

async fn foreign<const N: usize, const M: usize>(
    cx: Foreign<'_, Shop, Request>,
    _: Point<N>,
) -> Step<Point<M>> {
    cx.app.calls.lock().unwrap().push((M.to_string(), cx.effect_key()));
    cx.app.does(&M.to_string()).await?;
    Ok(Point(M * 11))
}

async fn call_back<const M: usize>(cx: Foreign<'_, Shop, Request>, reached: Point<M>) -> Step<()> {
    assert_eq!(reached.0, M * 11, "an undo is given what its step has reached");
    cx.app.calls.lock().unwrap().push((format!("-{M}"), cx.effect_key()));
    cx.app.does(&format!("-{M}")).await
}

async fn last(cx: Foreign<'_, Shop, Request>, _: Point<4>) -> Step<Response> {
    cx.app.calls.lock().unwrap().push(("5".to_owned(), cx.effect_key()));
    cx.app.does("5").await?;
    Ok(Response::empty(201))
}

pub(super) fn key(value: &str) -> Key {
    Key::new("tenant", value).unwrap()
}

/// The notes of one key.
pub(super) async fn noted<S: Noted>(store: &S, key: &Key) -> Vec<String> {
    let (notes, prefix) = (store.notes().await, format!("{} ", key.value()));
    let mut noted: Vec<_> =
        notes.iter().filter_map(|note| note.strip_prefix(&prefix)).map(str::to_owned).collect();
    noted.sort();
    noted
}

/// The points of one key, in order.
pub(super) async fn journal<S: Store>(store: &S, key: &Key) -> String {
    let row = store.find(key).await.unwrap().unwrap();
    let points = store.journal(&[row.id]).await.unwrap();
    let names: Vec<_> = points.into_iter().map(|point| point.name).collect();
    names.join(" ")
}

/// What the journal says after a refusal of this step.
pub(super) fn expected_journal(refused: usize) -> &'static str {
    match refused {
        1 => "finished",
        2 => "one b.refused a.undone finished",
        3 => "one two c.refused b.undone a.undone finished",
        4 => "one two three d.refused c.undone b.undone a.undone finished",
        _ => "one two three four e.refused d.undone c.undone b.undone a.undone finished",
    }
}

/// The notes of the atomic steps before this one, and of their undos.
pub(super) fn expected_notes(refused: usize) -> Vec<String> {
    let reached = [1, 3, 4].into_iter().filter(|step| *step < refused);
    let mut notes: Vec<_> = reached.flat_map(|step| [step.to_string(), format!("-{step}")]).collect();
    notes.sort();
    notes
}
