//! One attempt of a step or of an undo: in its time, judged, and told.

use std::time::Duration;

use tracing::Instrument;

use crate::outcome::Reached;
use crate::step::{BoxFuture, Stop};
use crate::workflow::StepEntry;
use crate::{BoxError, Event, Halt, InDoubt, Meaning, RecoveryPoint, StepEnd, Store};

use super::course::Course;
use super::panicked::Panicked;
use super::run::RunOf;

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    /// Runs a step, or on the way back its undo. What its error means is settled here.
    pub(super) async fn attempted(
        &self,
        entry: &StepEntry<S::Conn, A, In>,
        foreign: bool,
        attempts: i32,
        deadline: Option<tokio::time::Instant>,
        step: BoxFuture<'_, Result<Reached, Stop>>,
    ) -> Result<Reached, Stop> {
        let began = self.inner.settings.watch.begin();
        let span = tracing::debug_span!("step", step = entry.name, from = entry.from, attempt = attempts);
        let mut reached = in_time(foreign, deadline, step).instrument(span).await;
        if let Err(stop) = reached {
            reached = Err(self.judged(entry, stop));
        }
        if let Some(began) = began {
            self.tell(entry, foreign, &reached, began.elapsed());
        }
        reached
    }

    fn judged(&self, entry: &StepEntry<S::Conn, A, In>, stop: Stop) -> Stop {
        match (stop, &entry.policy.judge) {
            (Stop::Halt(halt), Some(judge)) if !self.undoes() => Stop::Halt(halt.judged(judge)),
            (stop, _) => stop,
        }
    }

    fn tell(
        &self,
        entry: &StepEntry<S::Conn, A, In>,
        foreign: bool,
        reached: &Result<Reached, Stop>,
        took: Duration,
    ) {
        let undoes = self.undoes();
        let end = match reached {
            Ok(_) => StepEnd::Reached,
            Err(Stop::Halt(halt)) => match halt.meaning() {
                // An undo has no answer to give: one that does has failed.
                Meaning::Answer(_) if !undoes => StepEnd::Answered,
                Meaning::InDoubt(_) if foreign => StepEnd::InDoubt,
                _ => StepEnd::Failed,
            },
            Err(_) => StepEnd::Failed,
        };
        let (workflow, step) = (self.table.name, entry.name);
        self.inner.settings.watch.tell(match undoes {
            false => Event::Stepped { workflow, step, end, took },
            true => Event::Undone { workflow, step, end, took },
        });
    }

    /// Whether what it attempts are undos.
    fn undoes(&self) -> bool {
        matches!(self.course, Course::Undoing(_))
    }
}

/// Runs a step up to its deadline; a panic in it is an error like any other. A foreign step that is cut off by either
/// is in doubt.
async fn in_time(
    foreign: bool,
    deadline: Option<tokio::time::Instant>,
    step: BoxFuture<'_, Result<Reached, Stop>>,
) -> Result<Reached, Stop> {
    // What was sent before that may arrive yet.
    let cut_off =
        |why: BoxError| Err(Stop::Halt(if foreign { InDoubt::new(why).into() } else { Halt::of(why) }));
    let step = async { Panicked::catch_in(step).await.unwrap_or_else(|panicked| cut_off(panicked.into())) };
    let Some(deadline) = deadline else { return step.await };
    tokio::time::timeout_at(deadline, step).await.unwrap_or_else(|_| cut_off(TimedOut.into()))
}

/// An attempt was given up at its deadline.
#[derive(Debug, thiserror::Error)]
#[error("the attempt took longer than it may")]
struct TimedOut;
