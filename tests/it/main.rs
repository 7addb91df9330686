//! What holds across the crates, on real databases.

mod adoption;
mod cancelled_begin;
mod conformance;
mod connections;
mod crash_matrix;
mod databases;
mod effect_key;
