//! What becomes of a step that fails in a way that may pass: in the run's own time, which no test waits for.

mod doubt;
mod limits;
mod pauses;
mod shop;
