//! What holds across the crates, on real databases.

mod cancelled_begin;
mod databases;
