//! What must come of a run, told without a database: a key is a step, a count of attempts, and a course.

use super::scenario::{Cancel, Outcome, STEPS, Scenario, is_foreign};

/// How often a step or an undo is tried.
pub(super) const ATTEMPTS: usize = 3;

/// The answer of a step whose attempts are used up; `None`: it is parked.
pub(super) fn exhausted(step: usize) -> Option<u16> {
    (step == 1 || step == 2).then_some(503)
}

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ended {
    pub(super) answer: u16,
    pub(super) cancelled: bool,
    pub(super) journal: Vec<String>,
    /// How often each step and each undo was called.
    pub(super) calls: [usize; STEPS],
    pub(super) undo_calls: [usize; STEPS],
    /// What stands outside or in the database: done, and taken back.
    pub(super) done: [bool; STEPS],
    pub(super) undone: [bool; STEPS],
}

/// What an attempt means for the key.
enum Meant {
    Reached,
    /// It has done nothing.
    Nothing,
    Refused,
    /// Nobody knows.
    Open,
    /// Nobody knows, and the process is gone.
    Gone,
}

pub(super) struct Model<'s> {
    scenario: &'s Scenario,
    ended: Ended,
    /// The attempts of the next step or undo, and how many of them are known to have done nothing.
    attempts: usize,
    known: usize,
    cancelled: bool,
    /// How often nobody ran the key.
    idle: usize,
}

impl<'s> Model<'s> {
    pub(super) fn run(scenario: &'s Scenario) -> Ended {
        let ended = Ended::default();
        let mut model = Self { scenario, ended, attempts: 1, known: 0, cancelled: false, idle: 0 };
        model.forward();
        model.ended.journal.push("finished".to_owned());
        model.ended.cancelled = model.cancelled;
        model.ended
    }

    fn forward(&mut self) {
        let mut step = 0;
        while step < STEPS {
            // A cancelled key goes back as soon as nothing outside is open.
            if self.cancelled && (!is_foreign(step) || self.attempts - 1 <= self.known) {
                return self.turn(step, "cancelled", 409);
            }
            let cancelled_before = self.cancelled;
            match self.attempt(step) {
                Meant::Reached if self.cancelled => {
                    self.reach(step);
                    return self.turn(step, "cancelled", 409);
                }
                Meant::Reached => {
                    self.reach(step);
                    step += 1;
                    (self.attempts, self.known) = (1, 0);
                }
                Meant::Refused if self.cancelled => return self.turn(step, "cancelled", 409),
                Meant::Refused => return self.refuse(step, 402),
                failed => {
                    let unheard = self.cancelled && !cancelled_before;
                    if let Some(answer) = self.failed(step, &failed, unheard) {
                        return self.refuse(step, answer);
                    }
                }
            }
        }
        self.ended.answer = 201;
    }

    /// A failed attempt. Returns the answer if that was the last one. A run that hears of a cancel when it has failed goes
    /// on with that.
    fn failed(&mut self, step: usize, failed: &Meant, unheard: bool) -> Option<u16> {
        if let Meant::Gone = failed {
            self.attempts += 1;
            self.is_idle();
            return None;
        }
        let known = !is_foreign(step) || matches!(failed, Meant::Nothing);
        if self.attempts >= ATTEMPTS && !unheard {
            let settled = !is_foreign(step) || self.known + usize::from(known) == self.attempts;
            match exhausted(step).filter(|_| settled && !self.cancelled) {
                Some(answer) => return Some(answer),
                None if settled && self.cancelled => {}
                None => self.is_idle(),
            }
        }
        self.known += usize::from(known);
        self.attempts += 1;
        None
    }

    fn reach(&mut self, step: usize) {
        self.ended.done[step] = true;
        if step + 1 < STEPS {
            self.ended.journal.push(format!("p{}", step + 1));
        }
    }

    /// Nobody runs the key, and it goes on by a cancel or as it was.
    fn is_idle(&mut self) {
        self.cancelled |= self.scenario.cancel == Cancel::Between(self.idle);
        self.idle += 1;
    }

    fn attempt(&mut self, step: usize) -> Meant {
        let call = self.ended.calls[step];
        self.ended.calls[step] += 1;
        self.cancelled |= self.scenario.cancel == Cancel::During(step, call);
        let outcome = self.scenario.steps[step].get(call).copied().unwrap_or(Outcome::Ok);
        meant(outcome, is_foreign(step), &mut self.ended.done[step])
    }

    fn refuse(&mut self, step: usize, answer: u16) {
        match step {
            // There is nothing to undo.
            0 => self.ended.answer = answer,
            _ => self.turn(step, "refused", answer),
        }
    }

    fn turn(&mut self, step: usize, why: &str, answer: u16) {
        self.ended.answer = answer;
        self.ended.journal.push(format!("s{step}.{why}"));
        for step in (0..STEPS - 1).rev() {
            if self.ended.journal.contains(&format!("p{}", step + 1)) {
                self.undo(step);
            }
        }
    }

    fn undo(&mut self, step: usize) {
        let mut attempts = 1;
        loop {
            let call = self.ended.undo_calls[step];
            self.ended.undo_calls[step] += 1;
            let outcome = self.scenario.undos[step].get(call).copied().unwrap_or(Outcome::Ok);
            match meant(outcome, is_foreign(step), &mut self.ended.undone[step]) {
                Meant::Reached => break,
                Meant::Gone => self.passes_by(),
                _ if attempts >= ATTEMPTS => self.passes_by(),
                _ => {}
            }
            attempts += 1;
        }
        self.ended.undone[step] = true;
        self.ended.journal.push(format!("s{step}.undone"));
    }

    /// Nobody runs a key that is undone: a cancel comes too late.
    fn passes_by(&mut self) {
        self.idle += 1;
    }
}

/// What an outcome means. Who calls again by the same key is told what was done: it is not refused then.
fn meant(outcome: Outcome, foreign: bool, done: &mut bool) -> Meant {
    let was_done = *done;
    let mut work = |does: bool| *done |= does && foreign;
    match outcome {
        Outcome::Ok => Meant::Reached,
        Outcome::Retryable => Meant::Nothing,
        Outcome::Final if was_done => Meant::Reached,
        Outcome::Final => Meant::Refused,
        Outcome::InDoubt(does) | Outcome::Hang(does) | Outcome::Panic(does) => {
            work(does);
            Meant::Open
        }
        Outcome::Killed(does) => {
            work(does);
            Meant::Gone
        }
    }
}
