//! Times of single calls.

use std::time::Duration;

/// Times of single calls, sorted.
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Takes the times in any order.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time below which this share (0 to 1) of the calls stayed, in microseconds.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        // A quantile's index is far below 2^52.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "share is within 0 and 1"
        )]
        let at = (last as f64 * share).round() as usize;
        self.0.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}
