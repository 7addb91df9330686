//! A foreign step stands first, although it needs what another one reaches.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::Workflow;

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout").foreign("capture_payment", capture_payment).build()
}

fn main() {
    checkout();
}
