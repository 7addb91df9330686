//! The payment gateway, as the shop sees it: two methods. Whoever has another gateway implements them.

mod builtin;
mod error;
mod http;
mod server;
mod slow;

use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::order::Order;
use crate::stamp::Stamp;

pub use builtin::BuiltIn;
pub use error::GatewayError;
pub use http::HttpGateway;
pub use server::{ServeError, serve};
pub(crate) use slow::Slow;

/// What a gateway is asked to charge: the body of `POST /charges`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The order.
    pub order_id: String,
    /// How much, in minor units.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// The card.
    pub card: Card,
}

impl Charge {
    /// What this order costs.
    pub fn of(order: &Order) -> Self {
        Self {
            order_id: order.order_id.clone(),
            amount: order.amount,
            currency: order.currency.clone(),
            card: order.card.clone(),
        }
    }
}

/// What a gateway decided. Anything else is a [`GatewayError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The money has moved, now or at an earlier attempt.
    Captured {
        /// The charge.
        charge_id: String,
    },
    /// It has not and will not.
    Declined {
        /// Why.
        reason: String,
    },
}

/// The future of a gateway's answer.
pub type Answer<'a, T = Verdict> = Pin<Box<dyn Future<Output = Result<T, GatewayError>> + Send + 'a>>;

/// A payment gateway.
pub trait Gateway: Send + Sync + 'static {
    /// Charges, at most once for each effect key. After an error that may pass, the same call is made again with
    /// the same effect key.
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a>;

    /// Gives the money of a charge back, at most once for each effect key: the refund's id. Errors as of a charge.
    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String>;
}
