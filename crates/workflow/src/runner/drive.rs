//! A workflow with its request type forgotten, and the loop over its steps.

use std::any::TypeId;
use std::sync::Arc;

use crate::point::FINISHED;
use crate::step::BoxFuture;
use crate::workflow::{StepEntry, Table};
use crate::{Error, RecoveryPoint, RunEnd, Store};

use super::Inner;
use super::answered::Answered;
use super::claim::{Claimed, Known};
use super::reach::{Reach, Stepped};
use super::run::RunOf;
use super::watch::Ending;

/// A workflow of a runner: what its claims have to know, and what drives it.
pub(crate) struct Registered<S: Store, A> {
    pub(super) known: Arc<Known>,
    pub(super) drive: Arc<dyn Drive<S, A>>,
}

impl<S: Store, A> Clone for Registered<S, A> {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), drive: self.drive.clone() }
    }
}

impl<S: Store, A> Registered<S, A> {
    pub(super) fn new(drive: Arc<dyn Drive<S, A>>) -> Self {
        Self { known: Arc::new(drive.known()), drive }
    }
}

pub(crate) trait Drive<S: Store, A>: Send + Sync {
    fn known(&self) -> Known;

    /// The step that leads from a point to another one; to the response any step may.
    fn step_between(&self, from: &str, to: &str) -> Option<&'static str>;

    /// Runs a claimed key to its response.
    fn finish(
        self: Arc<Self>,
        inner: Arc<Inner<S, A>>,
        claimed: Claimed,
    ) -> BoxFuture<'static, Result<Answered, Error>>;

    /// Runs one step of a claimed key.
    fn step(
        self: Arc<Self>,
        inner: Arc<Inner<S, A>>,
        claimed: Claimed,
    ) -> BoxFuture<'static, Result<Stepped, Error>>;
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> Drive<S, A> for Table<S::Conn, A, In> {
    fn known(&self) -> Known {
        Known {
            workflow: self.name,
            version: self.version,
            request: TypeId::of::<In>(),
            points: self.steps.iter().flat_map(StepEntry::points).collect(),
            steps: self.steps.iter().map(|step| step.name).collect(),
            cancellable: self.cancellable(),
            cancelled: self.cancelled.clone(),
        }
    }

    fn step_between(&self, from: &str, to: &str) -> Option<&'static str> {
        let step = self.from(from)?;
        (to == FINISHED || step.reaches.contains(&to)).then_some(step.name)
    }

    fn finish(
        self: Arc<Self>,
        inner: Arc<Inner<S, A>>,
        claimed: Claimed,
    ) -> BoxFuture<'static, Result<Answered, Error>> {
        Box::pin(async move {
            let mut ending = Ending::of(&inner, self.name);
            let run = RunOf::open(inner, self, claimed).await;
            let mut run = run.map_err(|error| ending.failed(error))?;
            let skipped = run.done();
            loop {
                for stepped in run.phase().await.map_err(|error| ending.failed(error))? {
                    if let Reach::Response(response) = stepped.reach {
                        ending.tell(run.course.end());
                        return Ok(Answered::by_run(response, run.ran, skipped));
                    }
                }
            }
        })
    }

    fn step(
        self: Arc<Self>,
        inner: Arc<Inner<S, A>>,
        claimed: Claimed,
    ) -> BoxFuture<'static, Result<Stepped, Error>> {
        Box::pin(async move {
            let mut ending = Ending::of(&inner, self.name);
            let run = RunOf::open(inner, self, claimed).await;
            let mut run = run.map_err(|error| ending.failed(error))?;
            let stepped = run.step().await.map_err(|error| ending.failed(error))?;
            ending.tell(match stepped.reach {
                Reach::Point { .. } => {
                    run.give_back(None).await;
                    RunEnd::Stepped
                }
                Reach::Response(_) => run.course.end(),
            });
            Ok(stepped)
        })
    }
}
