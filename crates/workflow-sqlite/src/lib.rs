#![doc = include_str!("../README.md")]

mod batches;
mod error;
mod journal_mode;
mod lane;
mod migrate;
mod names;
mod options;
mod rows;
mod sql;
mod sqlite;
mod store;
mod tx;
mod writes;

pub use migrate::Migration;
pub use options::Options;
pub use sqlite::Sqlite;
pub use tx::Tx;
