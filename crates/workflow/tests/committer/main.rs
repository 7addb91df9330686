//! Group commit, over a desk whose clerk is the test: it sees each batch, and answers it when and how it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect has failed"
)]

mod alone;
mod batches;
mod desk;
mod endings;
mod room;
mod rush;
mod told;
