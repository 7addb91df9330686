//! An atomic step is given to `.foreign`: it would have no transaction.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::Workflow;

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .foreign("create_order", create_order)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn main() {
    checkout();
}
