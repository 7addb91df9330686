//! A foreign step returns the response itself, not a `Step` of it.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{Response, Workflow};

async fn ask_for_payment(_: Call<'_>, _: OrderCreated) -> Response {
    Response::empty(202)
}

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("ask_for_payment", ask_for_payment)
        .build()
}

fn main() {
    checkout();
}
