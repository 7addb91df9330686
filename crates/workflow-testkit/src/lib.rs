//! Tests for workflows and for stores.
//!
//! For who writes workflows: [`Memory`] is a store without a database, [`Faulty`] a store that fails where a test
//! wants it to, [`Trial`] a step alone. For who writes a store: [`conformance!`] is the suite that every store
//! passes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support: what goes wrong here fails the test that called it"
)]

pub mod conformance;
mod faulty;
mod memory;
mod sweep;
mod trial;

pub use faulty::{Fault, Faulty, How};
pub use memory::{Memory, MemoryConn, MemoryTx};
pub use sweep::sweep;
pub use trial::{Trial, TrialOn, Tried};
