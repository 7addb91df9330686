//! Why there is no figure.

/// Why a program ends without one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer said no.
    #[error("the peer failed: {0}")]
    Peer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer gave back something else than what the last step returned.
    #[error("the peer answered {0}")]
    Answer(String),
    /// A run did not end.
    #[error("a run did not end within {0} s")]
    Stuck(u64),
    /// Nothing to divide by.
    #[error("no run ended within the window; measure for longer")]
    NoRuns,
    /// A figure without durability is worth nothing.
    #[error("refused: the database is not durable: {0}")]
    NotDurable(String),
    /// This peer has no such store.
    #[error("{0} does not run on this database")]
    NoStore(&'static str),
    /// The URL is neither.
    #[error("{0:?} is neither postgres://… nor sqlite:FOLDER")]
    Url(String),
    /// The process that makes the tables failed.
    #[error("the process that makes the tables failed: {0}")]
    Prepare(String),
    /// What measures cannot reach the database.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The file system failed.
    #[error("the file system failed: {0}")]
    Io(#[from] std::io::Error),
    /// The CPU time of the process is not known.
    #[error("the process's CPU time cannot be read: {0}")]
    Cpu(#[from] nix::Error),
    /// A task of the loop panicked.
    #[error("a task of the loop failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// Whatever a peer's own error type is.
    pub fn peer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Peer(error.into())
    }
}
