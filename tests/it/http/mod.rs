//! The contract of the header `Idempotency-Key`, row by row, over each store.

mod contract;
mod layer;
mod leaving;
mod path;
mod plain;
mod reap;
mod shop;
mod sockets;
mod standing;
mod waiting;
