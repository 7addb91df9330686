//! What is for sale besides the variants: one region, its payment providers and its ways to ship.

use serde_json::{Value, json};

/// The region of a cart that names none, and the only one.
pub(crate) const REGION: &str = "reg_default";
/// Its currency.
pub(crate) const CURRENCY: &str = "usd";
/// Its payment providers. The first one is selected until the customer chooses.
pub(crate) const PROVIDERS: [&str; 3] = ["manual", "pending", "requires_more"];
/// Its tax: the name and the rate of the line that each item gets.
pub(crate) const TAX: (&str, i64) = ("default", 0);

/// A way to ship: its id, its name, its price.
const SHIPPING: [(&str, &str, i64); 2] =
    [("so_standard", "Standard", 500), ("so_pickup", "Collect it yourself", 0)];

/// The way to ship of this id.
pub(crate) fn shipping(option_id: &str) -> Option<(&'static str, i64)> {
    SHIPPING.iter().find(|(id, ..)| *id == option_id).map(|(_, name, price)| (*name, *price))
}

/// The region as clients read it.
pub(crate) fn region() -> Value {
    let providers = PROVIDERS.map(|id| json!({ "id": id, "is_installed": true }));
    json!({
        "id": REGION, "object": "region", "name": "Default", "currency_code": CURRENCY, "tax_rate": TAX.1,
        "gift_cards_taxable": true, "automatic_taxes": true, "countries": [], "payment_providers": providers,
    })
}
