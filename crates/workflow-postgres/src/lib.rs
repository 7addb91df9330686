#![doc = include_str!("../README.md")]

mod batches;
mod error;
mod guard;
mod lane;
mod migrate;
mod names;
mod options;
mod postgres;
mod rows;
mod sql;
mod store;
mod tx;
mod writes;

pub use guard::guarded;
pub use migrate::Migration;
pub use options::Options;
pub use postgres::Postgres;
pub use tx::Tx;
