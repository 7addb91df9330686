//! The ledger of the built-in gateway: what moved money or refused to, one line each, on disk before the answer.
//!
//! It is the witness for what the shop claims, so it knows nothing of workflows, and it keeps nothing of a card.

mod book;
mod file;
mod line;
#[cfg(test)]
mod tests;

pub use book::{Found, Refusal};
pub use file::{Ledger, LedgerError};
pub use line::{Caller, Line, Outcome, lines};
