//! A lane: one way to do the work, its database, and what it has done and spent so far.

use std::time::Duration;

use crate::crew::Crew;
use crate::failure::Failure;
use crate::floor::Floor;
use crate::load::drive;
use crate::meter::{Counter, Reading, Standing};
use crate::round::{Round, Sum};

/// Who does the work.
pub enum Doer {
    /// The runner, in processes of its own.
    Crew(Crew),
    /// A floor, in this process.
    Floor {
        /// Which.
        floor: Floor,
        /// How many runs at once.
        in_flight: usize,
    },
}

/// One way to do the work.
pub struct Lane {
    /// As it is called in reports.
    pub name: &'static str,
    doer: Doer,
    counter: Counter,
    before: Standing,
    runs_in_all: usize,
    rounds: Vec<Sum>,
    spent: Reading,
}

/// What a lane has done and spent.
pub struct Done {
    /// As it is called.
    pub name: &'static str,
    /// The rounds, without the warm-up.
    pub rounds: Vec<Sum>,
    /// What they have spent.
    pub spent: Reading,
    /// What has been counted from before the warm-up to the end, a run.
    pub a_run: Standing,
}

impl Lane {
    /// A lane that has done nothing yet. `before` was read when nobody was connected.
    pub fn new(name: &'static str, doer: Doer, counter: Counter, before: Standing) -> Self {
        Self { name, doer, counter, before, runs_in_all: 0, rounds: Vec::new(), spent: Reading::zero() }
    }

    /// A round that is not reported: connections are made, statements prepared, full pages written to the log.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn warm_up(&mut self, time: Duration) -> Result<(), Failure> {
        self.run(time).await.map(drop)
    }

    /// A round.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn round(&mut self, time: Duration) -> Result<&Sum, Failure> {
        let before = self.counter.read().await?;
        let sum = self.run(time).await?;
        self.spent = self.spent.plus(self.counter.read().await?.since(before));
        self.rounds.push(sum);
        self.rounds.last().ok_or(Failure::NoRun)
    }

    async fn run(&mut self, time: Duration) -> Result<Sum, Failure> {
        let rounds = match &mut self.doer {
            Doer::Crew(crew) => crew.round(time).await?,
            Doer::Floor { floor, in_flight } => {
                let floor = floor.clone();
                let once = move || {
                    let floor = floor.clone();
                    async move { floor.once().await }
                };
                vec![Round::of(drive(*in_flight, time, once)).await?]
            }
        };
        let sum = Sum::of(&rounds)?;
        self.runs_in_all += sum.latencies.len();
        Ok(sum)
    }

    /// Ends it, and reads what can be read only then.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn end(self) -> Result<Done, Failure> {
        match self.doer {
            Doer::Crew(crew) => crew.dismiss().await?,
            Doer::Floor { floor, .. } => floor.close().await,
        }
        let after = self.counter.stand().await?;
        let runs = self.runs_in_all as f64;
        let a_run = Standing {
            commits: (after.commits - self.before.commits) / runs,
            table_bytes: (after.table_bytes - self.before.table_bytes) / runs,
        };
        Ok(Done { name: self.name, rounds: self.rounds, spent: self.spent, a_run })
    }
}
