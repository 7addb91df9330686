//! The rows of a cart.

use serde_json::{Map, Value};

use crate::catalog::PROVIDERS;

/// A cart with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Cart {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) email: Option<String>,
    pub(crate) customer_id: Option<String>,
    /// Region, addresses, discounts, context: what nothing here decides by.
    pub(crate) details: Map<String, Value>,
    pub(crate) payment_authorized_at: Option<i64>,
    pub(crate) completed_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) items: Vec<Item>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) methods: Vec<Method>,
}

/// A line of a cart.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) variant_id: String,
    pub(crate) title: String,
    pub(crate) unit_price: i64,
    pub(crate) quantity: i64,
    pub(crate) metadata: Value,
    pub(crate) created_at: i64,
    /// The name and the rate of its tax line, if it has one.
    pub(crate) tax: Option<(String, i64)>,
}

/// A payment session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) provider_id: String,
    pub(crate) is_selected: bool,
    pub(crate) status: String,
    pub(crate) data: Value,
}

/// A way to ship that was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Method {
    pub(crate) id: String,
    pub(crate) option_id: String,
    pub(crate) name: String,
    pub(crate) price: i64,
    pub(crate) data: Value,
}

impl Item {
    pub(crate) fn subtotal(&self) -> i64 {
        self.unit_price.saturating_mul(self.quantity)
    }
}

impl Cart {
    pub(crate) fn subtotal(&self) -> i64 {
        self.items.iter().map(Item::subtotal).fold(0, i64::saturating_add)
    }

    pub(crate) fn shipping_total(&self) -> i64 {
        self.methods.iter().map(|method| method.price).sum()
    }

    pub(crate) fn total(&self) -> i64 {
        self.subtotal().saturating_add(self.shipping_total())
    }

    pub(crate) fn is_swap(&self) -> bool {
        self.kind == "swap"
    }

    /// The session that is to pay.
    pub(crate) fn selected(&self) -> Option<&Session> {
        self.sessions.iter().find(|session| session.is_selected)
    }

    pub(crate) fn session(&self, provider_id: &str) -> Option<&Session> {
        self.sessions.iter().find(|session| session.provider_id == provider_id)
    }

    pub(crate) fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }
}

/// Where a provider stands among those of the region.
pub(crate) fn rank(provider_id: &str) -> usize {
    PROVIDERS.iter().position(|id| *id == provider_id).unwrap_or(PROVIDERS.len())
}
