//! A step fails with what is no error.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::Workflow;

async fn create_order_or_say_why(_: Atom<'_>, _: Cart) -> Result<OrderCreated, String> {
    Err("no stock".to_owned())
}

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order_or_say_why)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn main() {
    checkout();
}
