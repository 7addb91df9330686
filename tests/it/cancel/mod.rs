//! Cancel: a key is turned back from outside, wherever it stands, and what it has done is taken back.

mod idle;
mod late;
mod matrix;
mod races;
mod running;
mod shop;
