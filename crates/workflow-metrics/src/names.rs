//! The names of all metrics, and what they mean.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

macro_rules! names {
    ($($name:ident = $text:literal, $describe:ident($($unit:ident)?), $help:literal;)+) => {
        $(#[doc = $help] pub const $name: &str = $text;)+

        pub(crate) fn describe() {
            $($describe!($name, $(Unit::$unit,)? $help);)+
        }
    };
}

names! {
    RUNS = "workflow_runs_total", describe_counter(Count),
        "Runs that have ended, by `workflow` and `outcome`.";
    STEPS = "workflow_steps_total", describe_counter(Count),
        "Attempts of steps, by `workflow`, `step` and `outcome`.";
    UNDOS = "workflow_undos_total", describe_counter(Count),
        "Attempts of undos, by `workflow`, `step` and `outcome`.";
    TAKEOVERS = "workflow_takeovers_total", describe_counter(Count),
        "Claims of keys whose run did not give its lease back: it crashed, or was cut off.";
    LEASES_LOST = "workflow_leases_lost_total", describe_counter(Count),
        "Runs that have lost their lease.";
    FENCED_WRITES = "workflow_fenced_writes_total", describe_counter(Count),
        "Writes that the store has refused because another run had the key: each would have been a repetition.";
    REPLAYS = "workflow_replays_total", describe_counter(Count),
        "Stored responses that were returned.";
    CONFLICTS = "workflow_conflicts_total", describe_counter(Count),
        "Claims that were refused because the key was in progress or waited.";
    MISMATCHES = "workflow_mismatches_total", describe_counter(Count),
        "Claims that were refused because the key was used for another request.";
    STEP_SECONDS = "workflow_step_seconds", describe_histogram(Seconds),
        "How long an attempt of a step took, by `workflow` and `step`.";
    RUN_SECONDS = "workflow_run_seconds", describe_histogram(Seconds),
        "How long a run took from its claim to its end, by `workflow`.";
    COMMIT_BATCH_SIZE = "workflow_commit_batch_size", describe_histogram(Count),
        "How many writes a group commit has carried.";
    UNFINISHED = "workflow_unfinished", describe_gauge(Count),
        "Keys that are not finished, by `workflow` and `recovery_point`.";
    OLDEST_UNFINISHED_SECONDS = "workflow_oldest_unfinished_seconds", describe_gauge(Seconds),
        "How long ago the oldest unfinished key was first claimed; 0 if there is none.";
    NEEDS_ATTENTION = "workflow_needs_attention", describe_gauge(Count),
        "Keys that are parked: a person has to decide.";
    OUTBOX_PENDING = "workflow_outbox_pending", describe_gauge(Count),
        "Staged jobs that are not delivered.";
}
