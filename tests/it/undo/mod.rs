//! A final answer before the end takes back what the steps before it have done.

mod matrix;
mod reaped;
mod shop;
mod trouble;
