#![doc = include_str!("../README.md")]

mod error;
mod journal_mode;
mod migrate;
mod names;
mod options;
mod rows;
mod sql;
mod sqlite;
mod store;
mod tx;

pub use migrate::Migration;
pub use options::Options;
pub use sqlite::Sqlite;
pub use tx::Tx;
