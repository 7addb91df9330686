//! The checkout from outside: real processes, really killed, on both databases.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod audit;
mod cancel;
mod cli;
mod decline;
mod demo;
mod gateway;
mod kill;
mod lost_reply;
mod place;
mod reap;
mod same_order;
mod serve;
mod server;
mod sink;
mod stub;
