//! The demo: a purchase whose process is killed right after the charge, then all the others, then the sums.

mod answers;
mod child;
mod directory;
mod first;
mod say;
mod story;
mod totals;

pub use child::run_child;
pub use story::run;
