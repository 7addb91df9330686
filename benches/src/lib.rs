//! What the benchmarks share: databases with their durability switched on, and keys to fill them with.

pub mod database;
pub mod sample;

pub use database::{Database, Unfit};
pub use sample::Sample;
