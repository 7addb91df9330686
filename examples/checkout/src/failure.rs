//! Why a command failed: what happened, and what to do about it.

use std::io;
use std::path::PathBuf;

use workflow::{BuildError, KeyError, StoreError};

use crate::cancel::Cancelled;
use crate::gateway::ServeError;
use crate::import::Unanswered;
use crate::ledger::LedgerError;
use crate::purchase::BadFile;
use crate::secret::SecretError;
use crate::serve::StartError;

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
    /// The shop's tables do not answer.
    #[error("the shop's tables cannot be read: check that the database is there, and run `checkout migrate`")]
    Tables(#[from] sqlx::Error),
    /// The secret keys.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A key was not answered.
    #[error(transparent)]
    Run(#[from] workflow::Error),
    /// The runner's settings.
    #[error("the settings do not fit together")]
    Build(#[from] BuildError),
    /// The tenant is no scope.
    #[error("the tenant cannot be used: choose another one with --tenant")]
    Tenant(#[from] KeyError),
    /// The file of purchases.
    #[error("{} {source}", path.display())]
    Purchases {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadFile,
    },
    /// Lines without a response.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// A key that is not undone.
    #[error("{}", match .0 {
        Cancelled::TooLate { .. } => "it is too late to cancel it; nothing has changed",
        _ => "it is cancelled, but a run still has it: ask again for what came of it",
    })]
    NotCancelled(Cancelled),
    /// The HTTP client.
    #[error("the HTTP client could not be set up")]
    Http(#[from] reqwest::Error),
    /// The gateway's server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The shop's server.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A server that was to be started again and again.
    #[error("the server ended: {0}")]
    Ended(std::process::ExitStatus),
    /// A file of the demo's directory.
    #[error("{} {doing}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong, and what to do.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The demo found what must never be.
    #[error("the demo found what must never be: {0}")]
    Disagree(String),
    /// The output.
    #[error("the output could not be written")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code: 2 for wrong usage, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Build(_) | Self::Tenant(_) => 2,
            Self::Secret(SecretError::Hex | SecretError::Refused(_) | SecretError::NotGiven) => 2,
            _ => 1,
        }
    }

    /// Whether the reader of the output went away (`| head`), which is no failure.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
