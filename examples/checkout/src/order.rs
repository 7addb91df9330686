//! The order that a customer sends: the request of the workflow, and the rules of its fields.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use workflow::{RecoveryPoint, STARTED};

use crate::card::Card;
use crate::currency;

/// The longest order id, in characters.
const MAX_ORDER_ID: usize = 100;
/// The longest article number, in characters.
const MAX_SKU: usize = 64;
/// The largest quantity of one order.
const MAX_QTY: i64 = 1_000_000;

/// An order, and the card that pays for it: the request of the workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The customer's own number of the order, unique for each tenant.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$", example = "o-1")]
    pub order_id: String,
    /// The article.
    #[schema(pattern = "^[!-~]{1,64}$", example = "cd-blue")]
    pub sku: String,
    /// How many of it.
    #[schema(minimum = 1, maximum = 1_000_000, example = 1)]
    pub qty: i64,
    /// What it costs in all, in the currency's minor unit.
    #[schema(minimum = 0, example = 1177)]
    pub amount: i64,
    /// ISO 4217, in capitals.
    #[schema(schema_with = currency::schema)]
    pub currency: String,
    /// The card.
    #[schema(value_type = String, pattern = "^[0-9]{12,19}$", example = "4242424242424242")]
    pub card: Card,
}

/// The request is the first recovery point.
impl RecoveryPoint for Order {
    const NAME: &'static str = STARTED;
}

/// Which rule an order breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// The order id.
    #[error("order_id: 1 to {MAX_ORDER_ID} characters, none of them a control character")]
    OrderId,
    /// The article.
    #[error("sku: 1 to {MAX_SKU} visible ASCII characters")]
    Sku,
    /// The quantity.
    #[error("qty: 1 to {MAX_QTY}")]
    Qty,
    /// The amount.
    #[error("amount: minor units from 0 to {}", i64::MAX)]
    Amount,
    /// The currency.
    #[error("currency: an ISO 4217 code in capitals")]
    Currency,
    /// The card.
    #[error("card: 12 to 19 digits, the last one the right Luhn digit")]
    Card,
}

impl Order {
    /// Checks every field. Whoever takes orders in calls this before the key is touched.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), Invalid> {
        let rules = [
            (is_order_id(&self.order_id), Invalid::OrderId),
            (is_sku(&self.sku), Invalid::Sku),
            ((1..=MAX_QTY).contains(&self.qty), Invalid::Qty),
            (self.amount >= 0, Invalid::Amount),
            (currency::is_code(&self.currency), Invalid::Currency),
            (self.card.is_valid(), Invalid::Card),
        ];
        rules.into_iter().find(|(kept, _)| !kept).map_or(Ok(()), |(_, broken)| Err(broken))
    }
}

fn is_order_id(text: &str) -> bool {
    (1..=MAX_ORDER_ID).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_sku(text: &str) -> bool {
    (1..=MAX_SKU).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            order_id: "o-1".into(),
            sku: "cd".into(),
            qty: 1,
            amount: 1499,
            currency: "USD".into(),
            card: Card::new("4242424242424242"),
        }
    }

    #[test]
    fn the_limits_of_every_field_are_kept() {
        let good = [
            order(),
            Order { order_id: "é".repeat(100), ..order() },
            Order { sku: "~".repeat(64), ..order() },
            Order { qty: 1_000_000, amount: 0, ..order() },
            Order { amount: i64::MAX, currency: "JPY".into(), ..order() },
        ];
        for order in good {
            assert_eq!(order.validate(), Ok(()), "{order:?}");
        }
        let bad = [
            (Order { order_id: String::new(), ..order() }, Invalid::OrderId),
            (Order { order_id: "x".repeat(101), ..order() }, Invalid::OrderId),
            (Order { order_id: "a\u{85}b".into(), ..order() }, Invalid::OrderId),
            (Order { sku: "two words".into(), ..order() }, Invalid::Sku),
            (Order { sku: "é".into(), ..order() }, Invalid::Sku),
            (Order { qty: 0, ..order() }, Invalid::Qty),
            (Order { qty: 1_000_001, ..order() }, Invalid::Qty),
            (Order { amount: -1, ..order() }, Invalid::Amount),
            (Order { currency: "usd".into(), ..order() }, Invalid::Currency),
            (Order { currency: "ZZZ".into(), ..order() }, Invalid::Currency),
            (Order { card: Card::new("4242424242424243"), ..order() }, Invalid::Card),
        ];
        for (order, rule) in bad {
            assert_eq!(order.validate(), Err(rule), "{order:?}");
        }
    }
}
