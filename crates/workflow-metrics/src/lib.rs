#![doc = include_str!("../README.md")]

mod counted;
mod gauges;
pub mod names;

pub use counted::{BUCKETS, Metrics};
