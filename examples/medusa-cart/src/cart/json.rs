//! What clients see of a cart, and of the order that it becomes.

use serde_json::{Map, Value, json};

use super::row::{Cart, Item, Method, Session};
use crate::catalog::{CURRENCY, REGION, region};
use crate::id::time;
use crate::payment::Payment;

impl Cart {
    /// The cart as clients read it.
    pub(crate) fn json(&self) -> Value {
        let selected = self.selected().map(|session| session.json(self));
        let mut cart = json!({
            "id": self.id, "object": "cart", "type": self.kind, "email": self.email,
            "customer_id": self.customer_id, "region_id": REGION, "region": region(),
            "items": self.items.iter().map(|item| item.json(self, None)).collect::<Vec<_>>(),
            "payment_sessions": self.sessions.iter().map(|session| session.json(self)).collect::<Vec<_>>(),
            "payment_session": selected, "payment_id": null, "payment": null,
            "shipping_methods": self.methods.iter().map(|method| method.json(self)).collect::<Vec<_>>(),
            "completed_at": self.completed_at.map(time),
            "payment_authorized_at": self.payment_authorized_at.map(time),
            "created_at": time(self.created_at), "updated_at": time(self.updated_at), "deleted_at": null,
        });
        add(&mut cart, self.totals());
        add(&mut cart, self.detailed());
        cart
    }

    /// The totals, in minor units.
    fn totals(&self) -> Map<String, Value> {
        object(json!({
            "subtotal": self.subtotal(), "discount_total": 0, "shipping_total": self.shipping_total(),
            "tax_total": 0, "gift_card_total": 0, "total": self.total(),
        }))
    }

    /// What is kept as it came, with something for what never came.
    fn detailed(&self) -> Map<String, Value> {
        let mut details = object(json!({
            "sales_channel_id": null, "billing_address": null, "shipping_address": null, "discounts": [],
            "gift_cards": [], "context": {}, "metadata": null,
        }));
        details.extend(self.details.clone());
        details
    }
}

impl Item {
    fn json(&self, cart: &Cart, order_id: Option<&str>) -> Value {
        let tax = self.tax.iter().map(|(name, rate)| json!({ "name": name, "code": name, "rate": rate }));
        json!({
            "id": self.id, "cart_id": cart.id, "order_id": order_id, "title": self.title, "description": "",
            "thumbnail": null, "variant_id": self.variant_id, "quantity": self.quantity,
            "unit_price": self.unit_price, "is_giftcard": false, "should_merge": true,
            "allow_discounts": true, "has_shipping": !cart.methods.is_empty(), "metadata": self.metadata,
            "subtotal": self.subtotal(), "tax_total": 0, "discount_total": 0, "total": self.subtotal(),
            "tax_lines": tax.collect::<Vec<_>>(), "adjustments": [], "created_at": time(self.created_at),
        })
    }
}

impl Session {
    fn json(&self, cart: &Cart) -> Value {
        json!({
            "id": self.id, "cart_id": cart.id, "provider_id": self.provider_id,
            "is_selected": self.is_selected.then_some(true), "is_initiated": true, "status": self.status,
            "data": self.data, "amount": cart.total(),
        })
    }
}

impl Method {
    fn json(&self, cart: &Cart) -> Value {
        json!({
            "id": self.id, "cart_id": cart.id, "shipping_option_id": self.option_id, "price": self.price,
            "data": self.data,
            "shipping_option": { "id": self.option_id, "name": self.name, "amount": self.price },
        })
    }
}

/// The order that a cart becomes.
pub(crate) fn order(cart: &Cart, id: &str, display_id: i64, payment: Option<&Payment>, now: i64) -> Value {
    let total = cart.total();
    let mut order = json!({
        "id": id, "object": "order", "status": "pending", "fulfillment_status": "not_fulfilled",
        "payment_status": "awaiting", "display_id": display_id, "cart_id": cart.id,
        "customer_id": cart.customer_id, "email": cart.email, "region_id": REGION, "region": region(),
        "currency_code": CURRENCY, "tax_rate": null,
        "items": cart.items.iter().map(|item| item.json(cart, Some(id))).collect::<Vec<_>>(),
        "payments": payment.iter().map(|payment| payment.json(&cart.id, Some(id), now)).collect::<Vec<_>>(),
        "shipping_methods": cart.methods.iter().map(|method| method.json(cart)).collect::<Vec<_>>(),
        "created_at": time(now), "updated_at": time(now), "canceled_at": null,
        "paid_total": total, "refunded_total": 0, "refundable_amount": total,
    });
    add(&mut order, cart.totals());
    add(&mut order, cart.detailed());
    order
}

fn add(to: &mut Value, more: Map<String, Value>) {
    if let Value::Object(members) = to {
        members.extend(more);
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
