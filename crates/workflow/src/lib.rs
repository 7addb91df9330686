#![doc = include_str!("../README.md")]

mod advance;
mod builder;
mod clock;
mod codec;
mod committer;
mod context;
mod definition;
mod digest;
mod error;
mod failure;
mod halt;
mod key;
mod observer;
mod outbox;
mod outcome;
mod point;
mod record;
mod response;
mod retry;
mod runner;
mod signal;
mod step;
mod store;
mod workflow;

pub use builder::Builder;
pub use clock::Clock;
pub use codec::{Codec, Place, Plain};
pub use context::{Atomic, Foreign};
pub use definition::DefinitionError;
pub use digest::{DIGEST_VERSION, Origin, RequestError, check_json};
pub use error::{BuildError, Error};
pub use halt::{BoxError, Halt, InDoubt, Meaning, OrAnswer, RetryAfter, Step};
pub use key::{Key, KeyError, MAX_KEY_CHARS};
pub use observer::{ClaimKind, Event, Observer, Refusal, RunEnd, StepEnd};
pub use outbox::{Outbox, StagedJob};
pub use outcome::{Outcome, Reached};
pub use point::{FINISHED, RecoveryPoint, STARTED};
pub use response::Response;
pub use retry::{Retry, Verdict};
pub use runner::{
    Adopt, Answered, Call, Defines, Handle, KeyStatus, Reach, Runner, RunnerBuilder, Stepped, Stranded,
};
pub use store::{Store, StoreError};
/// What [`Foreign::cancellation`] returns.
pub use tokio_util::sync::CancellationToken;
pub use workflow::{StepInfo, Workflow};

/// What goes through the seam between the runner and a store: for those who write a store.
pub mod seam {
    pub use crate::advance::{Advance, OwnedAdvance, StoredResponse, To};
    pub use crate::committer::{Batch, Committer, LARGEST_BATCH, LARGEST_BYTES, OnCommit, ROOM};
    pub use crate::digest::key_hash;
    pub use crate::failure::{FailedAttempt, Failure, Then};
    pub use crate::record::{
        Backlog, Beat, Cancel, Census, Filter, Lease, NewKey, PointRow, Position, ReachedPoint, Record,
        Status, Take, Taken,
    };
}

#[doc(hidden)]
pub mod __private {
    pub use crate::builder::last;
    pub use crate::step::{
        AtomicKind, AtomicStep, Erase, EraseUndo, ErasedStep, ErasedUndo, ForeignKind, ForeignStep, Shape,
        StepFn, UndoStep, Undoable,
    };
}
