//! A step holds an `Rc` while it waits.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use std::rc::Rc;

use workflow::{Step, Workflow};

async fn create_order_and_wait(_: Atom<'_>, _: Cart) -> Step<OrderCreated> {
    let order = Rc::new(7);
    std::future::ready(()).await;
    drop(order);
    Ok(OrderCreated)
}

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order_and_wait)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn main() {
    checkout();
}
