//! When a step is tried again: how often, after which pauses, and what becomes of the key when that is used up.

use std::time::Duration;

use uuid::Uuid;

use crate::{BoxError, Response};

/// Until which pause a run waits in place.
const IN_PLACE: Duration = Duration::from_secs(10);

/// How a step is tried again after an error that is not final.
///
/// Each pause is drawn evenly between nothing and a bound (full jitter, as AWS recommends it), so that runs that failed
/// together do not come back together. The bound grows by a factor from pause to pause, up to a cap.
///
/// The default is meant for payments: 16 attempts, the first pause up to half a second, doubling, ten minutes at the
/// most. A slip is over in the first second; an outage of a quarter of an hour is outlasted; and all pauses together, at
/// most an hour, end long before a gateway forgets an idempotency key (24 hours at Stripe).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    attempts: u32,
    first: Duration,
    factor: f64,
    cap: Duration,
    jitter: bool,
    in_place: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 16,
            first: Duration::from_millis(500),
            factor: 2.0,
            cap: Duration::from_secs(10 * 60),
            jitter: true,
            in_place: IN_PLACE,
        }
    }
}

impl Retry {
    /// So many attempts, the first included; 0 counts as 1. The pauses are those of the default.
    #[must_use]
    pub fn times(attempts: u32) -> Self {
        Self { attempts: attempts.max(1), ..Self::default() }
    }

    /// The bound of the first pause, by which factor it grows (less than 1 counts as 1), and its cap.
    #[must_use]
    pub fn backoff(self, first: Duration, factor: f64, cap: Duration) -> Self {
        Self { first, factor: factor.max(1.0), cap, ..self }
    }

    /// Every pause is as long as its bound.
    #[must_use]
    pub fn without_jitter(self) -> Self {
        Self { jitter: false, ..self }
    }

    /// Up to which pause the run waits with lease, task and memory; 10 s if it is not given. For a longer one it gives
    /// them back: the key is `waiting`, and whoever asks for it after that time goes on.
    #[must_use]
    pub fn in_place(self, longest: Duration) -> Self {
        Self { in_place: longest, ..self }
    }

    /// What comes after so many attempts. `asked`: not before.
    pub(crate) fn next(&self, attempts: u32, asked: Option<Duration>) -> Next {
        if attempts >= self.attempts {
            return Next::Exhausted;
        }
        let pause = self.pause(attempts, random()).max(asked.unwrap_or_default());
        if pause <= self.in_place { Next::After(pause) } else { Next::Later(pause) }
    }

    /// The pause after so many attempts, where `random` is between 0 and 1.
    fn pause(&self, attempts: u32, random: f64) -> Duration {
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let bound = self.first.as_secs_f64() * self.factor.powi(exponent);
        let bound = Duration::try_from_secs_f64(bound).unwrap_or(self.cap).min(self.cap);
        if self.jitter { bound.mul_f64(random) } else { bound }
    }
}

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next attempt, after this pause in place.
    After(Duration),
    /// The next attempt, by whoever claims the key after this time.
    Later(Duration),
    /// No further attempt.
    Exhausted,
}

/// Between 0 and 1.
fn random() -> f64 {
    let bits = u32::try_from(Uuid::new_v4().as_u128() >> 96).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

/// How often and how long a step is tried, and what then.
#[derive(Default)]
pub(crate) struct Policy {
    /// Without one, an error ends the run: the key stays where it is, for whoever asks next.
    pub(crate) retry: Option<Retry>,
    pub(crate) judge: Option<Judge>,
    pub(crate) exhausted: Option<Exhausted>,
    /// Of one attempt.
    pub(crate) timeout: Option<Duration>,
    /// From the first attempt on.
    pub(crate) time_limit: Option<Duration>,
}

/// What an error of a step means, where the error itself does not say it.
pub(crate) type Judge = Box<dyn Fn(&BoxError) -> Verdict + Send + Sync>;

/// The answer when no attempt is left, made of the last error.
pub(crate) type Exhausted = Box<dyn Fn(&BoxError) -> Response + Send + Sync>;

/// What an error means, to [`Builder::judge`](crate::Builder::judge).
#[derive(Debug)]
pub enum Verdict {
    /// Nothing of the step has happened: try again.
    Retry,
    /// Nobody knows whether it happened: try again with the same effect key, and end in nothing else.
    InDoubt,
    /// This answer is final.
    Answer(Response),
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bounds_grow_by_the_factor_up_to_the_cap() {
        let retry = Retry::times(u32::MAX).backoff(SECOND, 3.0, 20 * SECOND).without_jitter();
        let pauses: Vec<_> = (1..=5).map(|attempts| retry.pause(attempts, 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 3, 9, 20, 20]);
        assert_eq!(retry.pause(u32::MAX, 0.0), 20 * SECOND);
    }

    #[test]
    fn full_jitter_goes_from_nothing_to_the_bound() {
        let retry = Retry::times(9).backoff(SECOND, 2.0, 60 * SECOND);
        assert_eq!(
            (retry.pause(3, 0.0), retry.pause(3, 0.5), retry.pause(3, 1.0)),
            (Duration::ZERO, 2 * SECOND, 4 * SECOND)
        );
        let drawn: Vec<_> = (0..200).map(|_| retry.pause(3, random()).as_secs_f64()).collect();
        let below = |bound: f64| drawn.iter().filter(|pause| **pause < bound).count();
        assert!(below(1.0) > 20 && below(2.0) > 60 && below(2.0) < 140 && below(4.1) == 200, "{drawn:?}");
    }

    #[test]
    fn a_pause_is_never_shorter_than_was_asked_for() {
        let retry = Retry::times(3).backoff(SECOND, 2.0, 60 * SECOND).without_jitter();
        assert_eq!(retry.next(1, Some(Duration::from_millis(1))), Next::After(SECOND));
        assert_eq!(retry.next(1, Some(9 * SECOND)), Next::After(9 * SECOND));
        assert_eq!(retry.next(1, Some(11 * SECOND)), Next::Later(11 * SECOND));
        assert_eq!(retry.next(3, Some(SECOND)), Next::Exhausted);
    }

    #[test]
    fn all_pauses_of_the_default_are_over_within_an_hour() {
        let retry = Retry::default();
        let most: Duration = (1..retry.attempts).map(|attempts| retry.pause(attempts, 1.0)).sum();
        assert!(most < Duration::from_secs(60 * 60) && most > Duration::from_secs(50 * 60), "{most:?}");
        assert_eq!(Retry::times(0).next(1, None), Next::Exhausted);
    }
}
