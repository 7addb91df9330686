//! The recovery points of a checkout. Each carries only what is new; the request is at hand at every step.

use serde::{Deserialize, Serialize};
use workflow::RecoveryPoint;

/// The order stands as `reserved`, and its quantity has left the stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved;

/// The gateway has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentCaptured {
    /// With the money.
    Charged {
        /// The charge.
        charge_id: String,
    },
    /// With a no that is final.
    Declined {
        /// The gateway's reason.
        reason: String,
    },
}

/// The order is decided, one way or the other: from here the answer never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderPlaced {
    /// It stands, and is paid.
    Placed {
        /// Its charge.
        charge_id: String,
        /// Drawn once, so that any later execution would show as different bytes.
        nonce: String,
    },
    /// It is gone, and its quantity is back in the stock.
    Removed {
        /// Why.
        reason: String,
    },
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
