//! A workflow is run with what is not its request.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{Key, Runner, Store, Workflow};

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

async fn run<S: Store<Conn = Conn>>(runner: Runner<S, Shop>, key: Key) {
    let _ = runner.run(checkout, key, OrderCreated).await;
}

fn main() {}
