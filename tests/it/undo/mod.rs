//! A final answer before the end takes back what the steps before it have done.

mod matrix;
mod shop;
mod trouble;
