//! The steps stand in the wrong order.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::Workflow;

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .atomic("stage_receipt", stage_receipt)
        .foreign("capture_payment", capture_payment)
        .build()
}

fn main() {
    checkout();
}
