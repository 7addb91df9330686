//! Random runs against a model: each attempt ends as it is drawn, processes are killed, keys cancelled, parked and let go
//! on. The final state of every key is what the model says.

mod model;
mod scenario;
mod world;

use model::Model;
use scenario::{Scenario, Style};
use world::World;

/// How many are drawn; `RANDOM_RUNS` draws more.
const RUNS: u64 = 1000;

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("RANDOM_RUNS").ok().map(|runs| runs.parse().unwrap()) {
        Some(runs) => 0..runs,
        None => 0..RUNS,
    }
}

#[test]
fn the_final_state_of_every_key_is_the_models() {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for seed in seeds() {
        let scenario = Scenario::draw(seed, Style::ACommitAStep);
        let expected = Model::run(&scenario);
        let met = World::run(&scenario);
        assert_eq!(met.ended, expected, "seed {seed}: {scenario:?}\n{}", met.told);
        *seen
            .entry(format!("{}{}", expected.answer, if expected.cancelled { " cancelled" } else { "" }))
            .or_default() += 1;
    }
    // All ends are among them, or the runs prove less than they seem to.
    for end in ["201", "402", "503", "409 cancelled"] {
        let share = seen.get(end).copied().unwrap_or_default();
        assert!(share * 50 >= usize::try_from(seeds().end).unwrap(), "{end}: {seen:?}");
    }
}

/// Steps that share commits, and processes that die at any call of the store: what the steps are told depends on where
/// that was, so that only what must hold of every end is asked.
#[test]
fn killed_at_any_call_of_the_store_everything_is_done_or_taken_back() {
    for seed in seeds() {
        let scenario = Scenario::draw(seed, Style::Phases);
        let met = World::run(&scenario);
        assert_eq!(met.broken(), None, "seed {seed}: {scenario:?}\n{}", met.told);
    }
}
