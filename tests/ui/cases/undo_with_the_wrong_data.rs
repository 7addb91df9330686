//! The undo of a step takes what its step does not reach.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{Step, Workflow};

async fn refund(_: Call<'_>, _: PaymentCaptured) -> Step<()> {
    Ok(())
}

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .undo(refund)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

fn main() {
    checkout();
}
