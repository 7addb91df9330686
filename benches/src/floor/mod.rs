//! The floors: the least SQL by hand that still keeps the guards, with the same data and as fast as it will go. They
//! have
//! no runner, no types and no recovery; what they cost is what the databases cost.

pub mod pool;
pub mod postgres_group;
pub mod postgres_one;
pub mod postgres_separate;
pub mod postgres_tables;
pub mod sqlite;

use std::sync::Arc;

use uuid::Uuid;

use crate::failure::Failure;
use crate::payload::{ANSWER_BYTES, POINTS, REQUEST_BYTES, body};
use crate::workload::Workload;
use postgres_group::Group;
use postgres_one::One;
use postgres_separate::Separate;
use sqlite::Writer;

/// How the writes of a run are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each by itself.
    Separate,
    /// With whatever writes of other runs are there at that moment.
    Group,
    /// All writes of a run at once: no step is safe before the last one is.
    OneCommit,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Separate, Self::Group, Self::OneCommit];

    /// As it is called in reports and in the names of databases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Group => "group",
            Self::OneCommit => "one_commit",
        }
    }
}

/// What every run of a floor writes: the bytes of the workload, made once.
pub struct Plan {
    /// The request.
    pub request: Vec<u8>,
    /// The data of each point.
    pub point: Vec<u8>,
    /// The response.
    pub answer: Vec<u8>,
    /// The application's row.
    pub row: String,
    /// Of each step, whether it writes one.
    pub places: Vec<bool>,
}

impl Plan {
    /// Of a workload.
    ///
    /// # Errors
    /// None that can be met.
    pub fn of(workload: Workload) -> Result<Self, Failure> {
        let answer = body(ANSWER_BYTES)?;
        let row = String::from_utf8_lossy(&answer).into_owned();
        let (request, point) = (body(REQUEST_BYTES)?, body(workload.point_bytes)?);
        Ok(Self { request, point, answer, row, places: workload.places() })
    }

    /// How many steps a run has.
    pub fn steps(&self) -> usize {
        self.places.len()
    }

    /// The step of this number, from 1, as it is written.
    pub fn step(&self, number: usize) -> Written<'_> {
        let last = number == self.steps();
        Written {
            seq: i16::try_from(number).unwrap_or(i16::MAX),
            from: if number == 1 { workflow::STARTED } else { POINTS[number - 1] },
            to: if last { workflow::FINISHED } else { POINTS[number] },
            data: (!last).then_some(self.point.as_slice()),
            answer: last.then_some(self.answer.as_slice()),
            places: self.places[number - 1],
        }
    }
}

/// A step as it is written.
pub struct Written<'p> {
    /// The point's number.
    pub seq: i16,
    /// The point before.
    pub from: &'static str,
    /// The point reached.
    pub to: &'static str,
    /// Its data; none at the end.
    pub data: Option<&'p [u8]>,
    /// The response, at the end.
    pub answer: Option<&'p [u8]>,
    /// Whether a row of the application's is written with it.
    pub places: bool,
}

/// The value of a fresh key.
pub fn fresh_key() -> String {
    Uuid::new_v4().to_string()
}

/// A floor, ready to run.
#[derive(Clone)]
pub enum Floor {
    /// PostgreSQL, each write by itself.
    Separate(Arc<Separate>),
    /// PostgreSQL, one committer for all.
    Group(Arc<Group>),
    /// PostgreSQL, a run in one statement.
    One(Arc<One>),
    /// SQLite, one writer.
    Sqlite(Arc<Writer>),
}

impl Floor {
    /// A run.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn once(&self) -> Result<(), Failure> {
        match self {
            Self::Separate(floor) => floor.once().await,
            Self::Group(floor) => floor.once().await,
            Self::One(floor) => floor.once().await,
            Self::Sqlite(floor) => floor.once().await,
        }
    }

    /// Closes its connections; of those that close when they are dropped, this was the last handle.
    pub async fn close(self) {
        if let Self::Separate(floor) = self {
            floor.close().await;
        }
    }
}
