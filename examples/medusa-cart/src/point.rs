//! The recovery points, with the names that Medusa gave them. Each carries only what is new; the request is at hand at
//! every step.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use workflow::{RecoveryPoint, STARTED};

use crate::payments::Verdict;

/// A cart is to be completed: the request. It is the cart of the path, and whatever the body has, so that another body
/// under the same key is another request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complete {
    /// The cart.
    pub cart_id: String,
    /// What else the body has.
    #[serde(flatten)]
    pub body: Map<String, Value>,
}

/// What is to be paid, by whom. None for a cart that costs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The provider.
    pub provider_id: String,
    /// Its session.
    pub session_id: String,
    /// In minor units.
    pub amount: i64,
}

/// The cart has its tax lines, and belongs to this key: nobody else changes or completes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxLinesCreated {
    /// The id of the payment that is next.
    pub payment_id: String,
    /// What it pays.
    pub charge: Option<Charge>,
}

/// The provider has answered. Only what it has authorized becomes an order; what else it may have said is for the last
/// step to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAuthorized {
    /// The payment.
    pub payment_id: String,
    /// What it pays.
    pub charge: Option<Charge>,
    /// What the provider said.
    pub verdict: Verdict,
}

impl Complete {
    /// Completes this cart, with an empty body: what Medusa's client sends.
    pub fn cart(cart_id: impl Into<String>) -> Self {
        Self { cart_id: cart_id.into(), body: Map::new() }
    }
}

impl RecoveryPoint for Complete {
    const NAME: &'static str = STARTED;
}

impl RecoveryPoint for TaxLinesCreated {
    const NAME: &'static str = "tax_lines_created";
}

impl RecoveryPoint for PaymentAuthorized {
    const NAME: &'static str = "payment_authorized";
}
