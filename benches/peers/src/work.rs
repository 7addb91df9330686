//! The work, the same for every peer: a request of 500 bytes, five steps that do nothing outside with about 100 bytes
//! each, a response of about 100 bytes.

use serde::{Deserialize, Serialize};

/// The steps' names.
pub const STEPS: [&str; 5] =
    ["reserve_stock", "capture_payment", "place_order", "notify_warehouse", "send_receipt"];

/// The request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Twelve digits, so that every request has the same length.
    pub id: u64,
    /// Who buys.
    pub customer: String,
    /// Where to.
    pub address: String,
    /// What.
    pub lines: Vec<Line>,
    /// How it is wrapped.
    pub note: String,
}

/// One article of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Which.
    pub sku: String,
    /// How many.
    pub quantity: u32,
    /// The price of one.
    pub cents: u64,
}

/// What a step returns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Which step.
    pub step: String,
    /// Of which order.
    pub order: u64,
    /// What the other side would call it.
    pub reference: String,
    /// The sum.
    pub cents: u64,
}

/// The response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Of which order.
    pub order: u64,
    /// What has become of it.
    pub state: String,
    /// The last step's reference.
    pub reference: String,
    /// The sum.
    pub cents: u64,
}

const SUM: u64 = 10_492;

impl Order {
    /// The n-th request of a process.
    #[must_use]
    pub fn new(n: u64) -> Self {
        let line = |sku: &str, quantity, cents| Line { sku: sku.to_owned(), quantity, cents };
        Self {
            id: 100_000_000_000 + n,
            customer: "Ada Example <ada@example.com>".to_owned(),
            address: "12 Harbour Street, 20457 Hamburg, Germany".to_owned(),
            lines: vec![
                line("TEA-ASSAM-0250", 2, 1_999),
                line("TEA-EARL-GREY-0100", 1, 4_999),
                line("POT-CAST-IRON-1200", 5, 299),
            ],
            note: "Please ring twice and leave it with the neighbours on the second floor if nobody opens; \
                   the tea is a present, so wrap it in the green paper and put the card with the ribbon on top, \
                   but no invoice, thanks!"
                .to_owned(),
        }
    }
}

/// What a step does outside: nothing. Its result is what a payment provider would answer.
#[must_use]
pub fn step(name: &str, order: u64) -> Done {
    Done { step: name.to_owned(), order, reference: format!("ch_{order:024x}"), cents: SUM }
}

/// What the workflow answers after its last step.
#[must_use]
pub fn receipt(last: &Done) -> Receipt {
    Receipt {
        order: last.order,
        state: "finished".to_owned(),
        reference: last.reference.clone(),
        cents: last.cents,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(value: &impl Serialize) -> usize {
        serde_json::to_string(value).unwrap().len()
    }

    #[test]
    fn a_request_has_500_bytes_and_a_result_about_100() {
        assert_eq!(length(&Order::new(0)), 500);
        assert_eq!(length(&Order::new(9_999_999)), 500);
        for name in STEPS {
            let done = step(name, Order::new(0).id);
            assert!((90..=110).contains(&length(&done)), "{}", length(&done));
            assert!((90..=110).contains(&length(&receipt(&done))), "{}", length(&receipt(&done)));
        }
    }
}
