//! `checkout serve`: the shop over HTTP, with a page for people.

mod api;
mod front;
mod guard;
mod health;
mod metrics;
mod openapi;
mod page;
mod server;
mod signals;
mod tenant;

pub use server::{Serve, StartError, serve};
