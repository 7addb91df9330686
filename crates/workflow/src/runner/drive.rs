//! A workflow with its request type forgotten, and the loop over its steps.

use std::sync::Arc;

use crate::outbox::StagedJob;
use crate::step::BoxFuture;
use crate::workflow::Table;
use crate::{Error, RecoveryPoint, Response, Store};

use super::Inner;
use super::call::Answered;
use super::claim::Claimed;
use super::run::RunOf;

/// What one step did.
#[derive(Debug, Clone)]
pub struct Stepped {
    /// The step; `None` if the key was finished before.
    pub step: Option<&'static str>,
    /// What it reached.
    pub reach: Reach,
    /// The jobs that it staged.
    pub jobs: Vec<StagedJob>,
}

/// What a step has reached.
#[derive(Clone)]
#[non_exhaustive]
pub enum Reach {
    /// A recovery point and its data as JSON.
    Point {
        /// Its stored name.
        name: String,
        /// Its data.
        data: Vec<u8>,
    },
    /// The response.
    Response(Response),
}

/// Names only: data may hold what must not stand in a log.
impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Point { name, .. } => write!(f, "Point({name})"),
            Self::Response(response) => response.fmt(f),
        }
    }
}

pub(crate) trait Drive<S: Store, A>: Send + Sync {
    fn name(&self) -> &'static str;

    fn version(&self) -> u32;

    /// The points from which a step starts, aliases included.
    fn points(&self) -> Vec<&'static str>;

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
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn points(&self) -> Vec<&'static str> {
        self.steps
            .iter()
            .flat_map(|step| std::iter::once(step.from).chain(step.aliases.iter().copied()))
            .collect()
    }

    fn finish(
        self: Arc<Self>,
        inner: Arc<Inner<S, A>>,
        claimed: Claimed,
    ) -> BoxFuture<'static, Result<Answered, Error>> {
        Box::pin(async move {
            let mut run = RunOf::open(inner, self, claimed).await?;
            let skipped = run.done();
            let mut ran = Vec::new();
            loop {
                let stepped = run.step().await?;
                ran.extend(stepped.step);
                if let Reach::Response(response) = stepped.reach {
                    return Ok(Answered::by_run(response, ran, skipped));
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
            let mut run = RunOf::open(inner, self, claimed).await?;
            let stepped = run.step().await?;
            if let Reach::Point { .. } = stepped.reach {
                run.give_back(None).await;
            }
            Ok(stepped)
        })
    }
}
