//! How far a long command has come: a bar on a terminal, else a plain line now and then.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::figures::grouped;

/// How often a plain line is written.
const NOW_AND_THEN: Duration = Duration::from_secs(5);

/// On standard error.
pub struct Progress {
    bar: ProgressBar,
    what: &'static str,
    total: usize,
    done: usize,
    said: Instant,
}

impl Progress {
    /// Nothing done yet of so many.
    pub fn new(total: usize, what: &'static str) -> Self {
        let bar = ProgressBar::new(total as u64).with_style(style());
        Self { bar, what, total, done: 0, said: Instant::now() }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        self.bar.inc(1);
        if self.bar.is_hidden() && self.said.elapsed() >= NOW_AND_THEN {
            self.said = Instant::now();
            let (done, total) = (grouped(self.done), grouped(self.total));
            // Who does not listen misses nothing.
            let _ = writeln!(anstream::stderr(), "{done} of {total} {}", self.what);
        }
    }
}

/// The bar goes, whatever happens.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("  {bar:40.cyan} {human_pos} of {human_len}  {rate}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        })
}
