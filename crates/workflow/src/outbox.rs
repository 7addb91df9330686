//! Staged jobs: messages that are written with the step that announces them.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use uuid::Uuid;

/// A staged job: a message that is sent after the commit of the step that staged it, at least once, with a message
/// id that never changes. Brandur Leach calls it a transactionally staged job; others the transactional outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedJob {
    /// What the receiver recognizes a repeated delivery by.
    pub message_id: Uuid,
    /// What kind of job it is: 1 to 100 characters.
    pub kind: String,
    /// Its JSON.
    pub payload: Vec<u8>,
}

/// The longest kind of a job, in characters.
const MAX_KIND: usize = 100;

/// Why a job was not staged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error("a job's kind has 1 to {MAX_KIND} characters, not {kind:?}")]
    Kind { kind: String },
    #[error("the job cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Where a context collects the jobs of its step. Clones share the list.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<StagedJob>>>);

impl Outbox {
    pub(crate) fn stage<T: Serialize>(&self, kind: &str, payload: &T) -> Result<Uuid, StageError> {
        if !(1..=MAX_KIND).contains(&kind.chars().count()) {
            return Err(StageError::Kind { kind: kind.chars().take(MAX_KIND).collect() });
        }
        let job = StagedJob {
            message_id: Uuid::now_v7(),
            kind: kind.to_owned(),
            payload: serde_json::to_vec(payload)?,
        };
        let message_id = job.message_id;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(job);
        Ok(message_id)
    }

    /// Takes out the jobs staged so far.
    pub fn take(&self) -> Vec<StagedJob> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
