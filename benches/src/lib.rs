//! What the benchmarks share: databases with their durability switched on, the work that is measured, what counts it,
//! and
//! the floors that it is held against.

pub mod orders;
pub mod payload;
pub mod workflows;

/// Everything that needs a database, a terminal or a picture: what counts instructions is built without it.
macro_rules! programs {
    ($($name:ident)*) => { $(#[cfg(feature = "programs")] pub mod $name;)* };
}

programs! {
    chart crew database failure figures floor http lane load meter round sample server stage worker workload
}

#[cfg(feature = "programs")]
pub use database::{Database, Unfit};
#[cfg(feature = "programs")]
pub use sample::Sample;
