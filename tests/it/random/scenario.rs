//! What is drawn of a run.

use fastrand::Rng;

/// How one attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Retryable,
    Final,
    /// An error that leaves it open; whether the work was done.
    InDoubt(bool),
    /// Up to the time-out.
    Hang(bool),
    Panic(bool),
    /// The process dies in it.
    Killed(bool),
}

/// Whether each step has a commit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    ACommitAStep,
    Phases,
}

/// When somebody cancels the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancel {
    Never,
    /// During this call (from 0) of this step, which is foreign.
    During(usize, usize),
    /// Instead of going on, when nobody runs it for this time (from 0).
    Between(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) style: Style,
    /// Of each step, attempt by attempt; then all is well.
    pub(super) steps: [Vec<Outcome>; STEPS],
    pub(super) undos: [Vec<Outcome>; STEPS],
    pub(super) cancel: Cancel,
    /// At which calls of the store the process dies, before or after.
    pub(super) store_kills: Vec<(usize, bool)>,
}

pub(super) const STEPS: usize = 5;

/// Atomic and foreign ones take turns; the last one answers.
pub(super) fn is_foreign(step: usize) -> bool {
    step % 2 == 1
}

impl Scenario {
    pub(super) fn draw(seed: u64, style: Style) -> Self {
        let mut rng = Rng::with_seed(seed);
        let kills = match style {
            Style::ACommitAStep => Vec::new(),
            Style::Phases => (0..rng.usize(0..3)).map(|_| (rng.usize(1..40), rng.bool())).collect(),
        };
        Self {
            style,
            steps: std::array::from_fn(|_| outcomes(&mut rng)),
            undos: std::array::from_fn(|_| outcomes(&mut rng)),
            cancel: match rng.u8(0..5) {
                0 => Cancel::Never,
                1 | 2 => Cancel::During(1 + 2 * rng.usize(0..2), rng.usize(0..3)),
                _ => Cancel::Between(rng.usize(0..3)),
            },
            store_kills: kills,
        }
    }
}

/// Two steps of three succeed at once.
fn outcomes(rng: &mut Rng) -> Vec<Outcome> {
    let trouble = if rng.u8(0..3) == 0 { rng.usize(1..6) } else { 0 };
    (0..trouble).map(|_| outcome(rng)).collect()
}

fn outcome(rng: &mut Rng) -> Outcome {
    let done = rng.bool();
    match rng.u8(0..14) {
        0 => Outcome::Ok,
        1..=3 => Outcome::Retryable,
        4 => Outcome::Final,
        5..=7 => Outcome::InDoubt(done),
        8 | 9 => Outcome::Hang(done),
        10 | 11 => Outcome::Panic(done),
        _ => Outcome::Killed(done),
    }
}
