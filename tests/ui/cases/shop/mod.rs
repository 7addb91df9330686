//! A shop with a connection of its own, so that the cases compile without a database.

#![allow(dead_code, reason = "no case uses all of the shop")]

use serde::{Deserialize, Serialize};
use workflow::{Atomic, Foreign, RecoveryPoint, Response, Step};

pub struct Conn;
pub struct Shop;

#[derive(Serialize, Deserialize)]
pub struct Cart;
#[derive(Serialize, Deserialize)]
pub struct OrderCreated;
#[derive(Serialize, Deserialize)]
pub struct PaymentCaptured;

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}
impl RecoveryPoint for OrderCreated {
    const NAME: &'static str = "order_created";
}
impl RecoveryPoint for PaymentCaptured {
    const NAME: &'static str = "payment_captured";
}

pub type Atom<'c> = Atomic<'c, Conn, Shop, Cart>;
pub type Call<'c> = Foreign<'c, Shop, Cart>;

pub async fn create_order(_: Atom<'_>, _: Cart) -> Step<OrderCreated> {
    Ok(OrderCreated)
}

pub async fn capture_payment(_: Call<'_>, _: OrderCreated) -> Step<PaymentCaptured> {
    Ok(PaymentCaptured)
}

pub async fn stage_receipt(_: Atom<'_>, _: PaymentCaptured) -> Step<Response> {
    Ok(Response::empty(201))
}
