//! A step reaches a type that is no recovery point.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{Step, Workflow};

struct OrderNumber;

async fn number_order(_: Atom<'_>, _: Cart) -> Step<OrderNumber> {
    Ok(OrderNumber)
}

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("number_order", number_order)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn main() {
    checkout();
}
