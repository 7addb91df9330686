//! Rows of the shop's tables, as they are listed.

use serde::Serialize;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderRow {
    /// The customer's number.
    pub order_id: String,
    /// The tenant.
    pub scope: String,
    /// The article.
    pub sku: String,
    /// How many.
    pub qty: i64,
    /// What it cost, in minor units.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// Its charge; none while it is only reserved.
    pub charge_id: Option<String>,
    /// When its stock was reserved.
    pub created_at: String,
}

/// An article's stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StockRow {
    /// The article.
    pub sku: String,
    /// What there was at first.
    pub opening: i64,
    /// What is left.
    pub left: i64,
}

/// A staged job of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// What the receiver knows a repeated delivery by.
    pub message_id: uuid::Uuid,
    /// What kind of job.
    pub kind: String,
    /// The order that it is about.
    pub order_id: Option<String>,
    /// How often it was sent.
    pub attempts: i64,
    /// When it was delivered.
    pub delivered_at: Option<String>,
}

/// The sums of all placed orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub orders: i64,
    /// What they cost, in minor units.
    pub amount: i64,
    /// How many articles.
    pub qty: i64,
}
