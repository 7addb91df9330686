//! What the observer is told, counted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use metrics::{counter, histogram};
use workflow::{ClaimKind, Event, Observer, Refusal};

use crate::names;

/// Where a histogram's buckets end, for recorders that want to be told: by the metric's name. The longest step and the
/// longest run are a minute, which is twice the default lease; a batch has at the most 256 writes.
pub const BUCKETS: [(&str, &[f64]); 3] = [
    (
        names::STEP_SECONDS,
        &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
    ),
    (
        names::RUN_SECONDS,
        &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
    ),
    (names::COMMIT_BATCH_SIZE, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
];

/// An observer that counts, by the recorder of the [`metrics`] facade. Cheap to clone; clones share what they remember
/// of the gauges. One is enough for a process.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Of which points there was a key when the gauges were last set, and their workflows.
    pub(crate) standing: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl Metrics {
    /// Counts from here on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the recorder what each metric means, and that the counters without labels stand at 0. Call it when the
    /// recorder is installed.
    pub fn describe(&self) {
        names::describe();
        let plain = [
            names::TAKEOVERS,
            names::LEASES_LOST,
            names::FENCED_WRITES,
            names::REPLAYS,
            names::CONFLICTS,
            names::MISMATCHES,
        ];
        plain.into_iter().for_each(|name| counter!(name).increment(0));
    }

    /// For the option `on_commit` of a store.
    pub fn on_commit(&self) -> impl Fn(usize) + Send + Sync + use<> {
        // No batch has more than a few hundred writes.
        |writes| {
            histogram!(names::COMMIT_BATCH_SIZE).record(f64::from(u32::try_from(writes).unwrap_or(u32::MAX)))
        }
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::Claimed { claim: ClaimKind::Takeover, .. } => counter!(names::TAKEOVERS).increment(1),
            Event::Replayed { .. } => counter!(names::REPLAYS).increment(1),
            Event::Refused { why: Refusal::InProgress | Refusal::Waiting, .. } => {
                counter!(names::CONFLICTS).increment(1);
            }
            Event::Refused { why: Refusal::Mismatch, .. } => counter!(names::MISMATCHES).increment(1),
            Event::Stepped { workflow, step, end, took } => {
                let (workflow, step) = (workflow.to_owned(), step.to_owned());
                let labels = [("workflow", workflow.clone()), ("step", step.clone())];
                histogram!(names::STEP_SECONDS, &labels).record(took);
                let outcome = end.as_str();
                counter!(names::STEPS, "workflow" => workflow, "step" => step, "outcome" => outcome)
                    .increment(1);
            }
            Event::Undone { workflow, step, end, .. } => {
                let (workflow, step, outcome) = (workflow.to_owned(), step.to_owned(), end.as_str());
                counter!(names::UNDOS, "workflow" => workflow, "step" => step, "outcome" => outcome)
                    .increment(1);
            }
            Event::Fenced { .. } => counter!(names::FENCED_WRITES).increment(1),
            Event::LeaseLost { .. } => counter!(names::LEASES_LOST).increment(1),
            Event::Ended { workflow, end, took } => {
                histogram!(names::RUN_SECONDS, "workflow" => workflow.to_owned()).record(took);
                let outcome = end.as_str();
                counter!(names::RUNS, "workflow" => workflow.to_owned(), "outcome" => outcome).increment(1);
            }
            _ => {}
        }
    }
}
