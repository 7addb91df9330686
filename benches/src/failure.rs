//! Why a measurement came to nothing.

use std::io;

use workflow::{BuildError, KeyError, StoreError};

use crate::database::Unfit;

/// Why a measurement came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is nothing to measure on.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A run was not answered.
    #[error("a run was not answered")]
    Run(#[from] workflow::Error),
    /// The runner could not be built.
    #[error("the runner could not be built")]
    Build(#[from] BuildError),
    /// A key is none.
    #[error("a key is none")]
    Key(#[from] KeyError),
    /// A worker process has died.
    #[error("a worker process has stopped before its time: what it says is above")]
    Worker,
    /// A worker process could not be started or talked to.
    #[error("a worker process could not be talked to")]
    Talk(#[from] io::Error),
    /// What a worker says is not understood.
    #[error("a worker process said something else than a round's figures")]
    Words(#[from] serde_json::Error),
    /// PostgreSQL failed beneath a floor.
    #[error("PostgreSQL failed beneath a floor")]
    Postgres(#[from] tokio_postgres::Error),
    /// SQLite failed beneath a floor.
    #[error("SQLite failed beneath a floor")]
    Sqlite(#[from] rusqlite::Error),
    /// The floor's committer is gone.
    #[error("the floor's committer has stopped: what it says is above")]
    Committer,
    /// A guard of a floor did not hold: a row that should have been there was not.
    #[error("a guard of a floor has refused a write that it should have let pass")]
    Guard,
    /// Too short a round.
    #[error("no run was finished within a round: give it more --seconds")]
    NoRun,
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(&'static str),
    /// Interrupted by hand.
    #[error("interrupted")]
    Interrupted,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Unfit(error.into())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Unfit(error.into())
    }
}

/// An error and its sources, as one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error;
    while let Some(source) = at.source() {
        text = format!("{text}: {source}");
        at = source;
    }
    text
}
