//! The last step answers: nothing can fail after it.

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
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .undo(refund)
        .build()
}

fn main() {
    checkout();
}
