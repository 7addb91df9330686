//! The last line, `.build()`, is missing.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::Workflow;

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
}

fn main() {
    checkout();
}
