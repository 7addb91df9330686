//! Every route of a purchase, with what Medusa's client reads of its answers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::place::{Place, on_both};

on_both! {
    purchase: a_purchase_by_all_routes_on_sqlite, a_purchase_by_all_routes_on_postgres;
    errors: errors_have_medusas_shape_on_sqlite, errors_have_medusas_shape_on_postgres;
    free: a_cart_that_costs_nothing_needs_no_payment_session_on_sqlite,
        a_cart_that_costs_nothing_needs_no_payment_session_on_postgres;
}

fn has(value: &Value, members: &[&str]) {
    for member in members {
        assert!(value.get(member).is_some(), "{member} is missing in {value}");
    }
}

async fn purchase(place: &Place) {
    let desk = Desk::open(place).await;
    let created =
        desk.post("/store/carts", Some("k-1"), json!({ "country_code": "dk", "context": { "a": 1 } })).await;
    assert_eq!(created.header("idempotency-key"), Some("k-1"));
    let cart = &created.body["cart"];
    has(
        cart,
        &["email", "region_id", "customer_id", "payment_session", "payment_id", "payment", "discounts"],
    );
    has(
        cart,
        &["gift_cards", "completed_at", "payment_authorized_at", "metadata", "created_at", "deleted_at"],
    );
    has(cart, &["subtotal", "discount_total", "shipping_total", "tax_total", "gift_card_total", "total"]);
    assert_eq!(
        (&cart["object"], &cart["type"], &cart["context"]["a"]),
        (&json!("cart"), &json!("default"), &json!(1))
    );
    assert_eq!(cart["region"]["currency_code"], "usd");
    let id = cart["id"].as_str().unwrap();
    assert!(id.starts_with("cart_"));
    let at = |rest: &str| format!("/store/carts/{id}{rest}");

    let address = json!({ "first_name": "Ann", "city": "Aarhus" });
    let cart = desk.cart(&at(""), json!({ "email": "Ann@Example.com", "shipping_address": address })).await;
    assert_eq!((&cart["email"], &cart["shipping_address"]), (&json!("ann@example.com"), &address));
    assert!(cart["customer_id"].as_str().unwrap().starts_with("cus_"));

    let shirt = |quantity: i64| json!({ "variant_id": "variant_shirt", "quantity": quantity, "metadata": { "x": 1 } });
    desk.cart(&at("/line-items"), shirt(1)).await;
    let cart = desk.cart(&at("/line-items"), shirt(2)).await;
    let items = cart["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["quantity"], &items[0]["unit_price"]), (1, &json!(3), &json!(1000)));
    has(
        &items[0],
        &["title", "thumbnail", "is_giftcard", "should_merge", "tax_lines", "adjustments", "total"],
    );
    let line = format!("/line-items/{}", items[0]["id"].as_str().unwrap());
    let cart = desk.cart(&at(&line), json!({ "quantity": 2 })).await;
    assert_eq!(cart["total"], 2000);
    desk.cart(&at("/line-items"), json!({ "variant_id": "variant_last_one", "quantity": 1 })).await;
    let cart = desk.get(&at("")).await.body["cart"].clone();
    let last =
        cart["items"].as_array().unwrap().iter().find(|i| i["variant_id"] == "variant_last_one").unwrap();
    let line = at(&format!("/line-items/{}", last["id"].as_str().unwrap()));
    let left = desk.send(Method::DELETE, &line, None, &json!({})).await;
    assert_eq!(left.body["cart"]["items"].as_array().unwrap().len(), 1);

    let cart = desk.cart(&at("/payment-sessions"), json!({})).await;
    let providers: Vec<_> =
        cart["payment_sessions"].as_array().unwrap().iter().map(|s| &s["provider_id"]).collect();
    assert_eq!(providers, ["manual", "pending", "requires_more"]);
    let cart = desk.select(id, "pending").await;
    has(
        &cart["payment_session"],
        &["id", "cart_id", "is_selected", "is_initiated", "status", "data", "amount"],
    );
    assert_eq!(cart["payment_session"]["provider_id"], "pending");
    let data = json!({ "data": { "card": "4242" } });
    let cart = desk.cart(&at("/payment-sessions/pending"), data).await;
    assert_eq!(cart["payment_session"]["data"]["card"], "4242");
    let cart = desk.cart(&at("/payment-sessions/pending/refresh"), json!({})).await;
    assert_eq!(
        (&cart["payment_session"]["data"], &cart["payment_session"]["amount"]),
        (&json!({}), &json!(2000))
    );
    let gone = desk.send(Method::DELETE, &at("/payment-sessions/pending"), None, &json!({})).await;
    assert_eq!(gone.body["cart"]["payment_session"], json!(null));
    desk.select(id, "manual").await;
    let cart = desk.cart(&at("/shipping-methods"), json!({ "option_id": "so_standard" })).await;
    assert_eq!((&cart["shipping_total"], &cart["total"]), (&json!(500), &json!(2500)));

    let order = desk.complete(id, None).await.body["data"].clone();
    has(
        &order,
        &["display_id", "customer_id", "region_id", "currency_code", "tax_rate", "discounts", "created_at"],
    );
    has(
        &order,
        &["paid_total", "refunded_total", "refundable_amount", "shipping_address", "shipping_methods"],
    );
    assert_eq!((&order["status"], &order["payment_status"]), (&json!("pending"), &json!("awaiting")));
    assert_eq!((&order["fulfillment_status"], &order["total"]), (&json!("not_fulfilled"), &json!(2500)));
    assert_eq!(
        (&order["payments"][0]["amount"], &order["items"][0]["order_id"]),
        (&json!(2500), &order["id"])
    );
    let by_id = desk.get(&format!("/store/orders/{}", order["id"].as_str().unwrap())).await;
    let by_cart = desk.get(&format!("/store/orders/cart/{id}")).await;
    assert_eq!((&by_id.body["order"], &by_cart.body["order"]), (&order, &order));
    assert!(desk.get(&at("")).await.body["cart"]["completed_at"].is_string());
    assert_eq!(desk.orders().await, 1);
}

async fn errors(place: &Place) {
    let desk = Desk::open(place).await;
    let cart = desk.filled("variant_shirt", 1).await;
    let at = |rest: &str| format!("/store/carts/{cart}{rest}");
    let shirt = json!({ "variant_id": "variant_shirt", "quantity": 1 });
    let not_found = [
        ("/store/carts/cart_none/complete".to_owned(), json!({})),
        ("/store/carts/cart_none/line-items".to_owned(), shirt),
        (at("/line-items"), json!({ "variant_id": "variant_none", "quantity": 1 })),
        (at("/line-items/item_none"), json!({ "quantity": 1 })),
        (at("/payment-session"), json!({ "provider_id": "manual" })),
        (at("/shipping-methods"), json!({ "option_id": "so_none" })),
    ];
    for (path, body) in not_found {
        assert_eq!(desk.post(&path, None, body).await.refusal(), (404, "not_found", None), "{path}");
    }
    let invalid = [
        (at("/line-items"), json!({ "variant_id": "variant_shirt" })),
        (at("/line-items"), json!({ "variant_id": "variant_shirt", "quantity": 0 })),
        (at("/line-items"), json!({ "variant_id": "variant_shirt", "quantity": 1.5 })),
        (at(""), json!({ "email": "nobody" })),
        (at(""), json!([])),
    ];
    for (path, body) in invalid {
        let got = desk.post(&path, None, body.clone()).await;
        assert_eq!(got.refusal(), (400, "invalid_data", None), "{path} {body}: {}", got.body);
        assert!(got.body["message"].as_str().unwrap().len() > 5);
    }
    assert_eq!(desk.get("/store/orders/order_none").await.refusal(), (404, "not_found", None));
    assert_eq!(desk.complete(&cart, Some("a b")).await.refusal(), (400, "invalid_data", None));
    assert_eq!(
        desk.number("SELECT count(*) FROM workflow_idempotency_keys WHERE scope = 'cart_none'").await,
        0
    );
}

async fn free(place: &Place) {
    let desk = Desk::open(place).await;
    desk.execute("UPDATE medusa_variants SET unit_price = 0 WHERE id = 'variant_shirt'", Vec::new()).await;
    let cart = desk.filled("variant_shirt", 1).await;
    desk.cart(&format!("/store/carts/{cart}"), json!({ "email": "guest@example.com" })).await;
    let got = desk.complete(&cart, Some("k-1")).await;
    assert_eq!((&got.body["type"], &got.body["data"]["payments"]), (&json!("order"), &json!([])));
    assert_eq!(desk.number("SELECT count(*) FROM medusa_provider_book").await, 0);
}
