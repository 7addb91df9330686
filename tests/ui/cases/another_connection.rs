//! A workflow is given to a runner over another database.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{RunnerBuilder, Store, Workflow};

struct OtherConn;

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn register<S: Store<Conn = OtherConn>>(builder: RunnerBuilder<S, Shop>) -> RunnerBuilder<S, Shop> {
    builder.with(checkout)
}

fn main() {}
