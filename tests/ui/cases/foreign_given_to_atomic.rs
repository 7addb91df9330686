//! A foreign step is given to `.atomic`: it would call outside with a transaction open.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::Workflow;

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .atomic("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn main() {
    checkout();
}
