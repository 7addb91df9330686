//! What a caller of the runner can meet, and do something about.

use std::time::Duration;

use crate::digest::RequestError;
use crate::record::Status;
use crate::{BoxError, Key, StoreError};

/// Why a key was not answered. The key shows as the first digits of its hash.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another run has the key just now. Ask again later: HTTP says 409 with `Retry-After`.
    #[error("key {key}: a run is in progress; ask again in {retry_after:?}")]
    InProgress {
        /// The key.
        key: Key,
        /// When the lease runs out if nobody extends it.
        retry_after: Duration,
    },
    /// A person has to decide before this key goes on: [`Runner::unpark`](crate::Runner::unpark) lets it.
    #[error("key {key} is parked as {status}: a person has to decide")]
    NeedsAttention {
        /// The key.
        key: Key,
        /// Its status.
        status: Status,
    },
    /// The key waits before its next attempt. Ask again later: HTTP says 409 with `Retry-After`.
    #[error("key {key} waits for its next attempt; ask again in {retry_after:?}")]
    Waiting {
        /// The key.
        key: Key,
        /// When the next attempt may begin.
        retry_after: Duration,
    },
    /// A cancel that came too late: the key has passed its point of no return, is finished, or is being undone for another
    /// answer. Nothing has changed: HTTP says 409.
    #[error("key {key} stands at recovery point `{point}`: it is too late to cancel it")]
    TooLate {
        /// The key.
        key: Key,
        /// The point.
        point: String,
    },
    /// The key was used for another request or another workflow. The row was not touched: HTTP says 422.
    #[error("key {key} was used for a different request; use a new key for a new request")]
    Mismatch {
        /// The key.
        key: Key,
        /// The workflow that the key runs.
        workflow: String,
    },
    /// There is no such key.
    #[error("key {key} is unknown")]
    UnknownKey {
        /// The key.
        key: Key,
    },
    /// The key stands at a point that this build does not know. The row was left as it is.
    #[error(
        "key {key} stands at recovery point `{point}`, but no step of workflow `{workflow}` starts there in this \
         build; name it as an alias of the point that took its place"
    )]
    UnknownPoint {
        /// The key.
        key: Key,
        /// Its workflow.
        workflow: String,
        /// The point.
        point: String,
    },
    /// The workflow is not registered with this runner. Nothing was claimed.
    #[error(
        "workflow `{workflow}` is not registered with this runner: add `.with({workflow})` to its builder"
    )]
    NotRegistered {
        /// The workflow.
        workflow: String,
    },
    /// A step failed in a way that may pass. The key stays at its point, free to be claimed: ask again.
    #[error("key {key}: step `{step}` failed at recovery point `{point}` and may be tried again")]
    Step {
        /// The key.
        key: Key,
        /// The step.
        step: &'static str,
        /// The point at which the key stands.
        point: String,
        /// Whether nobody knows if the step has done its work.
        in_doubt: bool,
        /// Why.
        source: BoxError,
    },
    /// Another runner has taken the key over. What this one had not committed is rolled back: ask again.
    #[error("key {key}: the lease was lost at recovery point `{point}`; another runner goes on")]
    LeaseLost {
        /// The key.
        key: Key,
        /// The point at which this run stood.
        point: String,
    },
    /// The request cannot be stored so that a run could go on with it. Nothing was claimed.
    #[error("the request cannot be stored")]
    Request(#[from] RequestError),
    /// Stored data does not fit the type that a step takes, or what a step reached cannot be stored.
    #[error("key {key}: the data of recovery point `{point}` does not fit")]
    Data {
        /// The key.
        key: Key,
        /// The point.
        point: String,
        /// Why.
        source: BoxError,
    },
    /// The database is away, or refused.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The run panicked outside its steps: a fault of this library or of a store. The key is free when its lease has
    /// run out.
    #[error("the run panicked: {0}")]
    Panicked(String),
    /// The runtime or the runner is shutting down ([`Runner::shutdown`](crate::Runner::shutdown)). The key is resumed by
    /// whoever claims it next.
    #[error("the run was interrupted")]
    Interrupted,
}

/// Why a runner could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A workflow's definition is wrong.
    #[error(transparent)]
    Definition(#[from] crate::DefinitionError),
    /// The lease is too short to be extended in time: it must be at least three heartbeats.
    #[error("a lease of {lease:?} is shorter than three heartbeats of {heartbeat:?}")]
    Lease {
        /// The lease.
        lease: Duration,
        /// The heartbeat's interval.
        heartbeat: Duration,
    },
    /// The thread of the heartbeat could not be started.
    #[error("the heartbeat's thread could not be started")]
    Heartbeat(#[source] std::io::Error),
}
