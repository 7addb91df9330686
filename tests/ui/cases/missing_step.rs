//! A step returns the point itself, not a `Step` of it.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::Workflow;

async fn create_order_surely(_: Atom<'_>, _: Cart) -> OrderCreated {
    OrderCreated
}

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order_surely)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn main() {
    checkout();
}
