//! What holds across the crates, on real databases.

mod cancelled_begin;
mod conformance;
mod crash_matrix;
mod databases;
mod effect_key;
