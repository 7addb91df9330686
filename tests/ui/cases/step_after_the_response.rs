//! A step stands behind the response.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{Response, Step, Workflow};

async fn refuse(_: Atom<'_>, _: Cart) -> Step<Response> {
    Ok(Response::empty(409))
}

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout").atomic("refuse", refuse).atomic("stage_receipt", stage_receipt).build()
}

fn main() {
    checkout();
}
