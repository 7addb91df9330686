//! What an observer is told, over the three stores.

mod ends;
mod fenced;
mod shop;
mod sizes;
