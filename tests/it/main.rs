//! What holds across the crates, on real databases.

mod cancelled_begin;
mod conformance;
mod databases;
mod effect_key;
