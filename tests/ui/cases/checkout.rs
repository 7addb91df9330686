//! The right workflow: it compiles, is registered, and is run.

#[path = "shop/mod.rs"]
mod shop;

use shop::*;

use workflow::{Answered, Error, Key, Runner, RunnerBuilder, Store, Workflow};

fn checkout() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("capture_payment", capture_payment)
        .atomic("stage_receipt", stage_receipt)
        .build()
}

/// An async closure is a step as well.
fn by_closures() -> Workflow<Conn, Shop, Cart> {
    Workflow::new("by_closures")
        .atomic("create_order", async |_: Atom<'_>, _: Cart| Ok::<_, std::io::Error>(OrderCreated))
        .foreign("capture_payment", async |_: Call<'_>, _: OrderCreated| Ok::<_, std::io::Error>(PaymentCaptured))
        .atomic("stage_receipt", stage_receipt)
        .build()
}

#[allow(dead_code, reason = "it only has to compile")]
fn register<S: Store<Conn = Conn>>(builder: RunnerBuilder<S, Shop>) -> RunnerBuilder<S, Shop> {
    builder.with(checkout).with(by_closures)
}

#[allow(dead_code, reason = "it only has to compile")]
async fn run<S: Store<Conn = Conn>>(runner: Runner<S, Shop>, key: Key) -> Result<Answered, Error> {
    runner.run(checkout, key, Cart).await
}

fn main() {
    checkout().verify().unwrap();
    by_closures().verify().unwrap();
}
