//! The workflow: a table of steps, each from one recovery point.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Response;
use crate::point::FINISHED;
use crate::retry::Policy;
use crate::step::{AtomicRun, Run};

/// A workflow: named steps mapped to the recovery points of a key.
///
/// It is a state machine, not a replay: a step is found by the name of the point at which the key stands, and
/// reads that point's data alone. Nothing has to be deterministic, and there is no code between steps.
///
/// `Display` prints it as a table; [`mermaid`](Self::mermaid) as a graph.
pub struct Workflow<C, A, In>(pub(crate) Arc<Table<C, A, In>>);

pub(crate) struct Table<C, A, In> {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    /// How long a key may take from its first claim on.
    pub(crate) time_limit: Option<Duration>,
    /// What a cancelled key answers, where the caller of cancel does not say.
    pub(crate) cancelled: Response,
    pub(crate) steps: Vec<StepEntry<C, A, In>>,
}

pub(crate) struct StepEntry<C, A, In> {
    pub(crate) name: &'static str,
    pub(crate) effect_name: &'static str,
    pub(crate) from: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) reaches: Vec<&'static str>,
    /// Whether it shares its commit with no other step.
    pub(crate) checkpoint: bool,
    pub(crate) point_of_no_return: bool,
    pub(crate) policy: Policy,
    pub(crate) undo: Option<Undo<C, A, In>>,
    pub(crate) run: Run<C, A, In>,
}

/// How what a step has reached is taken back.
pub(crate) struct Undo<C, A, In> {
    /// Its name and that of the point that it reaches. No name of the user's has a dot.
    pub(crate) name: String,
    pub(crate) point: String,
    pub(crate) policy: Policy,
    pub(crate) run: Run<C, A, In>,
}

/// A step that is known to be atomic, with how it runs.
pub(crate) type AtomicEntry<'t, C, A, In> = (&'t StepEntry<C, A, In>, &'t AtomicRun<C, A, In>);

impl<C, A, In> Table<C, A, In> {
    /// The step that goes on from a point.
    pub(crate) fn from(&self, point: &str) -> Option<&StepEntry<C, A, In>> {
        self.steps.iter().find(|step| step.starts_at(point))
    }

    /// The step that shares the commit of this one: the next one, if it is atomic and neither asks for its own.
    pub(crate) fn shares(&self, step: &StepEntry<C, A, In>) -> Option<AtomicEntry<'_, C, A, In>> {
        let [reached] = step.reaches[..] else { return None };
        let next = self.from(reached)?;
        let Run::Atomic(run) = &next.run else { return None };
        (!step.checkpoint && !next.checkpoint).then_some((next, run))
    }
}

impl<C, A, In> Table<C, A, In> {
    /// The points at which a key may be cancelled: those of the steps up to the point of no return. A foreign step may have
    /// happened as soon as its key stands before it; what the last one does, no undo takes back.
    pub(crate) fn cancellable(&self) -> Vec<&'static str> {
        let last = self.steps.last().map(|step| step.name);
        let mut points = Vec::new();
        for step in &self.steps {
            let ends = step.point_of_no_return || Some(step.name) == last;
            if !(ends && step.is_foreign()) {
                points.extend(step.points());
            }
            if ends {
                break;
            }
        }
        points
    }
}

impl<C, A, In> StepEntry<C, A, In> {
    /// The points from which it starts.
    pub(crate) fn points(&self) -> Vec<&'static str> {
        [&[self.from], self.aliases].concat()
    }

    pub(crate) fn starts_at(&self, point: &str) -> bool {
        self.from == point || self.aliases.contains(&point)
    }

    /// The point of a key whose step from here has refused, and whose earlier steps are undone.
    pub(crate) fn refused(&self) -> String {
        format!("{}.refused", self.name)
    }

    /// The point of a key that was cancelled at this step, and whose steps are undone.
    pub(crate) fn cancelled(&self) -> String {
        format!("{}.cancelled", self.name)
    }

    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.run, Run::Foreign(_))
    }
}

impl<C, A, In> Workflow<C, A, In> {
    pub(crate) fn of(table: Table<C, A, In>) -> Self {
        Self(Arc::new(table))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Its steps, in order: what a test or a page wants to show.
    pub fn steps(&self) -> impl Iterator<Item = StepInfo<'_>> {
        self.0.steps.iter().map(|step| StepInfo {
            name: step.name,
            foreign: step.is_foreign(),
            from: step.from,
            reaches: &step.reaches,
        })
    }

    /// The workflow as a Mermaid flow chart: rounded boxes are recovery points, arrows are steps, thick arrows
    /// foreign ones.
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        for step in &self.0.steps {
            let arrow = if step.is_foreign() { "==>" } else { "-->" };
            for to in &step.reaches {
                let shape = if *to == FINISHED { format!("{to}([{to}])") } else { format!("{to}({to})") };
                out.push_str(&format!("    {0}({0}) {arrow}|{1}| {shape}\n", step.from, step.name));
            }
        }
        out
    }
}

/// One line of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepInfo<'w> {
    /// The step's name.
    pub name: &'static str,
    /// Whether it is foreign; otherwise it is atomic.
    pub foreign: bool,
    /// The recovery point from which it starts.
    pub from: &'static str,
    /// The recovery points that it may reach; `finished` for a response.
    pub reaches: &'w [&'static str],
}

impl<C, A, In> Clone for Workflow<C, A, In> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C, A, In> fmt::Display for Workflow<C, A, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 4]> = std::iter::once(["step", "kind", "from", "reaches"].map(String::from))
            .chain(self.steps().map(|step| {
                let kind = if step.foreign { "foreign" } else { "atomic" };
                [step.name.into(), kind.into(), step.from.into(), step.reaches.join(" | ")]
            }))
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let (a, b, c) = (width(0), width(1), width(2));
        for [name, kind, from, reaches] in &rows {
            writeln!(f, "{name:a$}  {kind:b$}  {from:c$}  {reaches}")?;
        }
        Ok(())
    }
}

impl<C, A, In> fmt::Debug for Workflow<C, A, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workflow({}, {} steps)", self.0.name, self.0.steps.len())
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Atomic, Foreign, RecoveryPoint, Step};

    #[derive(Serialize, Deserialize)]
    struct At<const N: usize>;

    impl<const N: usize> RecoveryPoint for At<N> {
        const NAME: &'static str = ["started", "one", "two"][N];
        const ALIASES: &'static [&'static str] = if N == 1 { &["once_one"] } else { &[] };
    }

    async fn atomic<const N: usize, const M: usize>(_: Atomic<'_, (), (), At<0>>, _: At<N>) -> Step<At<M>> {
        Ok(At)
    }

    async fn foreign<const N: usize, const M: usize>(_: Foreign<'_, (), At<0>>, _: At<N>) -> Step<At<M>> {
        Ok(At)
    }

    async fn answer(_: Atomic<'_, (), (), At<0>>, _: At<2>) -> Step<Response> {
        Ok(Response::empty(204))
    }

    async fn call(_: Foreign<'_, (), At<0>>, _: At<2>) -> Step<Response> {
        Ok(Response::empty(204))
    }

    #[test]
    fn a_key_can_be_cancelled_up_to_the_point_of_no_return() {
        let line = || Workflow::new("line").atomic("a", atomic::<0, 1>);
        let all = line().atomic("b", atomic::<1, 2>).atomic("c", answer).build();
        assert_eq!(all.0.cancellable(), ["started", "one", "once_one", "two"]);
        let last_is_foreign = line().atomic("b", atomic::<1, 2>).foreign("c", call).build();
        assert_eq!(last_is_foreign.0.cancellable(), ["started", "one", "once_one"]);
        let after_atomic =
            line().atomic("b", atomic::<1, 2>).point_of_no_return().atomic("c", answer).build();
        assert_eq!(after_atomic.0.cancellable(), ["started", "one", "once_one"]);
        let before_foreign =
            line().foreign("b", foreign::<1, 2>).point_of_no_return().atomic("c", answer).build();
        assert_eq!(before_foreign.0.cancellable(), ["started"]);
    }
}
