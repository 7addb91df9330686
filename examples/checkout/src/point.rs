//! The recovery points of a checkout. Each carries only what is new; the request is at hand at every step.

use serde::{Deserialize, Serialize};
use workflow::RecoveryPoint;

/// The order stands as `reserved`, and its quantity has left the stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved;

/// The money is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// The charge.
    pub charge_id: String,
}

/// The order stands, and is paid: from here the answer never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// Its charge.
    pub charge_id: String,
    /// Drawn once, so that any later execution would show as different bytes.
    pub nonce: String,
}

impl RecoveryPoint for StockReserved {
    const NAME: &'static str = "stock_reserved";
}

impl RecoveryPoint for PaymentCaptured {
    const NAME: &'static str = "payment_captured";
}

impl RecoveryPoint for OrderPlaced {
    const NAME: &'static str = "order_placed";
}
