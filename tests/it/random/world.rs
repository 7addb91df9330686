//! The same run for real: a workflow of five steps over the store in memory, in virtual time, a runtime a process.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;
use workflow::{
    Answered, Atomic, Clock, Error, Foreign, Halt, InDoubt, Key, RecoveryPoint, Response, Retry, Runner,
    Step, Workflow,
};
use workflow_testkit::{Fault, Faulty, How, Memory, MemoryConn};

use super::model::{ATTEMPTS, Ended, exhausted};
use super::scenario::{Cancel, Outcome, STEPS, Scenario, Style, is_foreign};

const LEASE: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

const STARTED: [&str; STEPS] = ["started", "p1", "p2", "p3", "p4"];

#[derive(Clone, Serialize, Deserialize)]
struct Point<const N: usize>;

impl<const N: usize> RecoveryPoint for Point<N> {
    const NAME: &'static str = STARTED[N];
}

type Store = Faulty<Memory>;

/// What stands outside the processes, and what they share.
pub(super) struct World {
    scenario: Scenario,
    store: Store,
    state: Mutex<State>,
    killed: Notify,
}

#[derive(Default)]
struct State {
    ended: Ended,
    effect_keys: [Vec<Uuid>; 2 * STEPS],
    told: String,
}

/// How a run has ended, with what happened on the way.
pub(super) struct Met {
    pub(super) ended: Ended,
    pub(super) told: String,
    effect_keys: [Vec<Uuid>; 2 * STEPS],
}

impl World {
    pub(super) fn run(scenario: &Scenario) -> Met {
        let clock = Clock::default();
        let kills = scenario.store_kills.iter();
        let plan = kills.map(|(at, after)| Fault {
            at: *at,
            how: if *after { How::AbandonAfter } else { How::AbandonBefore },
        });
        let store = Faulty::new(Memory::new().with_clock(clock.clone()), plan);
        let (scenario, state, killed) = (scenario.clone(), Mutex::default(), Notify::new());
        let world = Arc::new(Self { scenario, store, state, killed });
        let (mut idle, mut parked) = (0, false);
        let answered = loop {
            let cancels = idle > 0 && world.scenario.cancel == Cancel::Between(idle - 1);
            match world.process(move |runner| next(runner, idle == 0, cancels, parked)) {
                Some(Ok(answered)) => break answered,
                Some(Err(Error::NeedsAttention { .. })) => parked = true,
                Some(Err(error)) => panic!("{error}\n{}", world.state().told),
                None => {
                    parked = false;
                    clock.advance(LEASE);
                }
            }
            idle += 1;
            assert!(idle < 100, "it does not end\n{}", world.state().told);
        };
        world.met(&answered)
    }

    /// A process of its own; `None` if it is killed.
    fn process<F, Fut>(self: &Arc<Self>, life: F) -> Option<Result<Answered, Error>>
    where
        F: FnOnce(Runner<Store, Arc<Self>>) -> Fut,
        Fut: Future<Output = Result<Answered, Error>>,
    {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let runner = self.runner();
            tokio::select! {
                biased;
                () = self.killed.notified() => None,
                () = self.store.abandoned() => None,
                ended = life(runner) => Some(ended),
            }
        })
    }

    fn runner(self: &Arc<Self>) -> Runner<Store, Arc<Self>> {
        let runner = Runner::builder(self.store.clone(), Arc::new(self.clone())).lease(LEASE);
        match self.scenario.style {
            Style::ACommitAStep => runner.with(separate),
            Style::Phases => runner.with(phases),
        }
        .build()
        .unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        writeln!(self.state().told, "{what}").unwrap();
    }

    fn met(&self, answered: &Answered) -> Met {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (row, points) = runtime.block_on(async {
            let memory = self.store.inner();
            let row = workflow::Store::find(memory, &key()).await.unwrap().unwrap();
            let points = workflow::Store::journal(memory, &[row.id]).await.unwrap();
            (row, points)
        });
        let state = self.state();
        let mut ended = state.ended.clone();
        ended.answer = answered.status();
        ended.cancelled = row.cancel_requested_at.is_some();
        ended.journal = points.into_iter().map(|point| point.name).collect();
        for step in (0..STEPS).filter(|step| !is_foreign(*step)) {
            ended.done[step] = self.store.inner().get(&format!("s{step}")).is_some();
            ended.undone[step] = self.store.inner().get(&format!("s{step}.undo")).is_some();
            for name in [format!("s{step}"), format!("s{step}.undo")] {
                let times = self.store.inner().get(&name);
                assert!(times.is_none_or(|times| times == 1), "{name} was done twice\n{}", state.told);
            }
        }
        Met { ended, told: state.told.clone(), effect_keys: state.effect_keys.clone() }
    }

    /// A call of a step (or its undo): counted, and how it is to end.
    fn called(&self, step: usize, undo: bool, attempt: u32, effect_key: Option<Uuid>) -> (usize, Outcome) {
        let mut state = self.state();
        let ended = &mut state.ended;
        let calls = if undo { &mut ended.undo_calls[step] } else { &mut ended.calls[step] };
        let call = *calls;
        *calls += 1;
        let drawn = if undo { &self.scenario.undos[step] } else { &self.scenario.steps[step] };
        let outcome = drawn.get(call).copied().unwrap_or(Outcome::Ok);
        let what = if undo { "undo of " } else { "" };
        writeln!(state.told, "{what}s{step}, call {call}, attempt {attempt}: {outcome:?}").unwrap();
        state.effect_keys[step + if undo { STEPS } else { 0 }].extend(effect_key);
        (call, outcome)
    }

    /// What a call outside comes to. Who has done it says so again.
    async fn outside(&self, step: usize, undo: bool, outcome: Outcome) -> Step<()> {
        let work = |does: bool| {
            let ended = &mut self.state().ended;
            let done = if undo { &mut ended.undone[step] } else { &mut ended.done[step] };
            *done |= does;
            *done
        };
        let outcome = match outcome {
            Outcome::Final if work(false) => Outcome::Ok,
            outcome => outcome,
        };
        match outcome {
            Outcome::Ok => work(true),
            Outcome::InDoubt(does) | Outcome::Hang(does) | Outcome::Panic(does) | Outcome::Killed(does) => {
                work(does)
            }
            Outcome::Retryable | Outcome::Final => false,
        };
        self.ends(outcome).await
    }

    async fn ends(&self, outcome: Outcome) -> Step<()> {
        match outcome {
            Outcome::Ok => Ok(()),
            Outcome::Retryable => Err(Halt::of("planned")),
            Outcome::Final => Err(Response::empty(402).into()),
            Outcome::InDoubt(_) => Err(InDoubt::new("planned").into()),
            Outcome::Hang(_) => std::future::pending().await,
            Outcome::Panic(_) => std::panic::resume_unwind(Box::new("planned")),
            Outcome::Killed(_) => {
                self.killed.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// What the next process does.
async fn next(
    runner: Runner<Store, Arc<World>>,
    first: bool,
    cancels: bool,
    parked: bool,
) -> Result<Answered, Error> {
    if first {
        return match runner.app().scenario.style {
            Style::ACommitAStep => runner.run(separate, key(), Point).await,
            Style::Phases => runner.run(phases, key(), Point).await,
        };
    }
    if cancels {
        let cancelled = runner.cancel(key(), Some(Response::empty(409))).await;
        runner
            .app()
            .tell(format_args!("cancelled: {:?}", cancelled.as_ref().map(|answered| answered.status())));
        match cancelled {
            Err(Error::TooLate { .. } | Error::UnknownKey { .. }) => {}
            // A cancel lets a key go on, but not one that is being undone.
            Err(Error::NeedsAttention { .. }) if parked => {}
            cancelled => return cancelled,
        }
    }
    if parked {
        runner.unpark(&key()).await?;
    }
    match (runner.resume(key()).await, runner.app().scenario.style) {
        // It died before the key was claimed.
        (Err(Error::UnknownKey { .. }), Style::Phases) => runner.run(phases, key(), Point).await,
        (resumed, _) => resumed,
    }
}

fn key() -> Key {
    Key::new("tenant", "k").unwrap()
}

fn separate() -> Workflow<MemoryConn, Arc<World>, Point<0>> {
    define(Style::ACommitAStep)
}

fn phases() -> Workflow<MemoryConn, Arc<World>, Point<0>> {
    define(Style::Phases)
}

/// Steps 0, 2 and 4 are atomic, 1 and 3 foreign.
fn define(style: Style) -> Workflow<MemoryConn, Arc<World>, Point<0>> {
    let retry = Retry::times(u32::try_from(ATTEMPTS).unwrap()).backoff(SECOND, 2.0, 8 * SECOND);
    let answer = |step| move |_: &workflow::BoxError| Response::empty(exhausted(step).unwrap());
    macro_rules! step {
        ($line:expr) => {{
            let line = $line.retry(retry).timeout(SECOND);
            if style == Style::ACommitAStep { line.checkpoint() } else { line }
        }};
    }
    let line = Workflow::new(if style == Style::Phases { "phases" } else { "separate" });
    let line = step!(line.atomic("s0", atomic::<0, 1>)).undo(take_back::<0, 1>).retry(retry).timeout(SECOND);
    let line = step!(line.foreign("s1", foreign::<1, 2>)).exhausted(answer(1));
    let line = line.undo(call_back::<1, 2>).retry(retry).timeout(SECOND);
    let line = step!(line.atomic("s2", atomic::<2, 3>)).exhausted(answer(2));
    let line = line.undo(take_back::<2, 3>).retry(retry).timeout(SECOND);
    let line =
        step!(line.foreign("s3", foreign::<3, 4>)).undo(call_back::<3, 4>).retry(retry).timeout(SECOND);
    step!(line.atomic("s4", last)).build()
}

type Atom<'c> = Atomic<'c, MemoryConn, Arc<World>, Point<0>>;
type Call<'c> = Foreign<'c, Arc<World>, Point<0>>;

async fn atomic<const N: usize, const M: usize>(cx: Atom<'_>, _: Point<N>) -> Step<Point<M>> {
    let (_, outcome) = cx.app.called(N, false, cx.attempt(), None);
    cx.conn.add(&format!("s{N}"), 1);
    cx.app.ends(outcome).await.map(|()| Point)
}

async fn take_back<const N: usize, const M: usize>(cx: Atom<'_>, _: Point<M>) -> Step<()> {
    let (_, outcome) = cx.app.called(N, true, cx.attempt(), None);
    cx.conn.add(&format!("s{N}.undo"), 1);
    cx.app.ends(outcome).await
}

async fn foreign<const N: usize, const M: usize>(cx: Call<'_>, _: Point<N>) -> Step<Point<M>> {
    let (call, outcome) = cx.app.called(N, false, cx.attempt(), Some(cx.effect_key()));
    if cx.app.scenario.cancel == Cancel::During(N, call) {
        // Somebody in another process.
        let cancelled = cx.app.runner().cancel(cx.key.clone(), Some(Response::empty(409))).await;
        cx.app.tell(format_args!("cancelled: {:?}", cancelled.as_ref().map(|answered| answered.status())));
    }
    cx.app.outside(N, false, outcome).await.map(|()| Point)
}

async fn call_back<const N: usize, const M: usize>(cx: Call<'_>, _: Point<M>) -> Step<()> {
    let (_, outcome) = cx.app.called(N, true, cx.attempt(), Some(cx.effect_key()));
    cx.app.outside(N, true, outcome).await
}

async fn last(cx: Atom<'_>, _: Point<4>) -> Step<Response> {
    let (_, outcome) = cx.app.called(4, false, cx.attempt(), None);
    cx.conn.add("s4", 1);
    cx.app.ends(outcome).await.map(|()| Response::empty(201))
}

impl Met {
    /// What must hold of every end, and does not.
    pub(super) fn broken(&self) -> Option<String> {
        let Ended { answer, cancelled, journal, done, undone, .. } = &self.ended;
        if !matches!(answer, 201 | 402 | 409 | 503) || *cancelled != (*answer == 409) {
            return Some(format!("answer {answer}, cancelled {cancelled}"));
        }
        for keys in &self.effect_keys {
            if keys.iter().any(|key| *key != keys[0]) {
                return Some(format!("two effect keys of one step: {keys:?}"));
            }
        }
        for step in 0..STEPS {
            let reached = step + 1 == STEPS || journal.contains(&format!("p{}", step + 1));
            let taken_back = journal.contains(&format!("s{step}.undone"));
            let right = match answer {
                201 => done[step] && !undone[step] && !taken_back,
                // What was done is taken back; what was not, is not.
                _ => done[step] == undone[step] && (step + 1 == STEPS || reached == taken_back),
            };
            if !right {
                return Some(format!("s{step}: done {}, undone {}, {journal:?}", done[step], undone[step]));
            }
        }
        None
    }
}
