//! The cart's completion from outside: over HTTP, on both databases, with real processes that are really killed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod adoption;
mod cases;
mod cli;
mod crowd;
mod deadlock;
mod desk;
mod kill;
mod losses;
mod place;
mod routes;
mod stock;
mod stub;
