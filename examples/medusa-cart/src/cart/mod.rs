//! The cart: its rows, how they are read and written, and what clients see of it.

mod json;
mod read;
mod row;
mod write;

pub(crate) use json::order as order_json;
pub(crate) use read::{exists, find};
pub(crate) use row::{Cart, Item};
pub(crate) use write::*;
