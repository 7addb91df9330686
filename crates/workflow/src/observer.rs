//! The observer: who is told what the runs of a runner do.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Error;

/// Is told what the runs of a runner do: for counters and histograms, not for decisions.
///
/// It is called inline, in the task of the run, between the writes that keep its lease: it must not block, and what it
/// takes, every run takes longer. If it panics, that is caught and logged once, and the run goes on.
///
/// What is told has happened, but an observer is no journal: a process that dies tells nothing, and a step whose commit
/// fails is told each time that it runs.
pub trait Observer: Send + Sync + 'static {
    /// Something has happened.
    fn observe(&self, event: &Event<'_>);
}

/// What a runner tells. Names only, all of which stand in the program: never a key, a scope, or anything that is
/// stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A key was claimed: a run begins.
    Claimed {
        /// The workflow.
        workflow: &'a str,
        /// From whom.
        claim: ClaimKind,
    },
    /// The key was finished before: its stored response was returned.
    Replayed {
        /// The workflow.
        workflow: &'a str,
    },
    /// There was nothing to claim, or it could not be claimed. Nothing ran.
    Refused {
        /// The workflow.
        workflow: &'a str,
        /// Why.
        why: Refusal,
    },
    /// A step was executed. What it reached is not committed yet.
    Stepped {
        /// The workflow.
        workflow: &'a str,
        /// The step.
        step: &'a str,
        /// How it ended.
        end: StepEnd,
        /// How long it took.
        took: Duration,
    },
    /// The undo of a step was executed. It is not committed yet.
    Undone {
        /// The workflow.
        workflow: &'a str,
        /// The step.
        step: &'a str,
        /// How it ended: [`StepEnd::Reached`] if the step is undone.
        end: StepEnd,
        /// How long it took.
        took: Duration,
    },
    /// The store has refused a write, because the key is another's by now: a run that was thought dead was fenced off.
    /// That its lease is lost is told, too. A cancel, which stops a run by the same guard, is not told.
    Fenced {
        /// The workflow.
        workflow: &'a str,
    },
    /// A run has lost its lease: another has taken the key, or it ran out before the run could extend it.
    LeaseLost {
        /// The workflow.
        workflow: &'a str,
    },
    /// A run has ended, be it without an answer.
    Ended {
        /// The workflow.
        workflow: &'a str,
        /// How.
        end: RunEnd,
        /// How long it took, from its claim on.
        took: Duration,
    },
}

/// From whom a key was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClaimKind {
    /// From nobody: it is new.
    Fresh,
    /// From a run that gave it back.
    Resumed,
    /// From a run that did not give its lease back: it crashed, or was cut off from the database. Told until the key
    /// makes progress, also if a run between that one and this one gave it back.
    Takeover,
}

/// Why a key was not claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// [`Error::InProgress`].
    InProgress,
    /// [`Error::Waiting`].
    Waiting,
    /// [`Error::NeedsAttention`].
    NeedsAttention,
    /// [`Error::Mismatch`].
    Mismatch,
    /// [`Error::UnknownPoint`].
    UnknownPoint,
    /// [`Error::Store`].
    Store,
    /// Any other error: what is stored does not open, or the request cannot be stored.
    Other,
}

/// How a step or an undo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepEnd {
    /// By what it returned: a recovery point, or a response.
    Reached,
    /// By an error that is a final answer.
    Answered,
    /// By an error that may pass.
    Failed,
    /// Nobody knows whether it has done its work.
    InDoubt,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunEnd {
    /// The response is stored. A final answer with nothing to undo is one, too.
    Finished,
    /// The key was turned round by a final answer or by a cancel: its steps are undone, and the answer is stored.
    Undone,
    /// It ran one step, as it was asked to, and gave the key back: [`Runner::step`](crate::Runner::step).
    Stepped,
    /// The key waits for its next attempt.
    Waiting,
    /// The key is parked: a person has to decide.
    NeedsAttention,
    /// By an error of a step, of the store or of stored data. The key is free.
    Failed,
    /// Another has the key.
    LeaseLost,
    /// Its task was ended from outside: the runtime is shutting down.
    Interrupted,
    /// It panicked outside its steps.
    Panicked,
}

impl ClaimKind {
    /// Its name, as a label: `fresh`, `resumed`, `takeover`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Resumed => "resumed",
            Self::Takeover => "takeover",
        }
    }
}

impl Refusal {
    /// Its name, as a label: `in_progress` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Waiting => "waiting",
            Self::NeedsAttention => "needs_attention",
            Self::Mismatch => "mismatch",
            Self::UnknownPoint => "unknown_point",
            Self::Store => "store",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::InProgress { .. } => Self::InProgress,
            Error::Waiting { .. } => Self::Waiting,
            Error::NeedsAttention { .. } => Self::NeedsAttention,
            Error::Mismatch { .. } => Self::Mismatch,
            Error::UnknownPoint { .. } => Self::UnknownPoint,
            Error::Store(_) => Self::Store,
            _ => Self::Other,
        }
    }
}

impl StepEnd {
    /// Its name, as a label: `reached`, `answered`, `failed`, `in_doubt`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
        }
    }
}

impl RunEnd {
    /// Its name, as a label: `finished` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Undone => "undone",
            Self::Stepped => "stepped",
            Self::Waiting => "waiting",
            Self::NeedsAttention => "needs_attention",
            Self::Failed => "failed",
            Self::LeaseLost => "lease_lost",
            Self::Interrupted => "interrupted",
            Self::Panicked => "panicked",
        }
    }

    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Waiting { .. } => Self::Waiting,
            Error::NeedsAttention { .. } => Self::NeedsAttention,
            Error::LeaseLost { .. } => Self::LeaseLost,
            _ => Self::Failed,
        }
    }
}

/// Calls what is not ours and only looks on: a panic in it is logged, the first time, and goes no further.
pub(crate) struct Guarded<T: ?Sized> {
    panicked: AtomicBool,
    call: T,
}

impl<T> Guarded<T> {
    pub(crate) fn new(call: T) -> Self {
        Self { panicked: AtomicBool::new(false), call }
    }
}

impl<T: ?Sized> Guarded<T> {
    pub(crate) fn tell(&self, tell: impl FnOnce(&T)) {
        let told = std::panic::catch_unwind(AssertUnwindSafe(|| tell(&self.call)));
        if told.is_err() && !self.panicked.swap(true, Ordering::Relaxed) {
            tracing::error!("an observer panicked: it is told the next events all the same");
        }
    }
}
