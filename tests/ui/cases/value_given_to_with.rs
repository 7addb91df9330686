//! `.with` is given the workflow's value; the function is the handle.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{RunnerBuilder, Store, Workflow};

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn register<S: Store<Conn = Conn>>(builder: RunnerBuilder<S, Shop>) -> RunnerBuilder<S, Shop> {
    builder.with(checkout())
}

fn main() {}
