//! What holds across the crates, on real databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect has failed"
)]

mod adoption;
mod begun_elsewhere;
mod broken_wire;
mod cancel;
mod cancelled_begin;
mod conformance;
mod connections;
mod crash_matrix;
mod crowd;
mod databases;
mod definition;
mod effect_key;
mod error_classes;
mod escaped_transaction;
mod http;
mod observer;
mod other_builds;
mod phases;
mod proxy;
mod random;
mod refused;
mod retry;
mod runner;
mod shutdown;
mod stuck_connection;
mod tidy;
mod undo;
