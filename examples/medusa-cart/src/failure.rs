//! Why a command failed: what happened, and what to do about it.

use std::io;

use workflow::{BuildError, StoreError};

use crate::adopt::AdoptError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command makes no sense as it was given.
    #[error("{0}")]
    Usage(String),
    /// The database is away or refuses.
    #[error("the database cannot be used: check --database-url, and that it is there")]
    Store(#[from] StoreError),
    /// The runner's settings.
    #[error("the settings do not fit together")]
    Build(#[from] BuildError),
    /// The adoption.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The address is not to be had.
    #[error("{at} is not to be had: choose another address with --listen")]
    Listen {
        /// The address.
        at: String,
        /// Why.
        source: io::Error,
    },
    /// Input or output failed.
    #[error("input or output failed")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code: 2 for wrong usage, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Build(_) => 2,
            _ => 1,
        }
    }
}
