//! The same key for something else: refused, and the row is left as it is.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use serde_json::{Value, json};
use workflow::{Error, Key, Origin, Runner, Stranded};

use super::Factory;
use super::fixture::*;
use super::shop::{Act, Cart, Shop, any_cart, cart, checkout, refund, shortened};

pub async fn another_body_is_a_mismatch_of_a_finished_key<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    shop.checkout(&store, &key).await.unwrap();
    let before = picture(&store, &key).await;
    let error = shop.runner(&store).run(checkout::<F>, key.clone(), dearer()).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { workflow, .. } if workflow == "checkout"));
    assert_eq!(picture(&store, &key).await, before);
    assert_eq!(shop.ran().len(), 3, "no step ran for it");
}

pub async fn another_body_is_a_mismatch_of_a_key_that_is_free<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    Shop::acting(&factory, [("capture_payment", Act::Fail)]).checkout(&store, &key).await.unwrap_err();
    let before = picture(&store, &key).await;
    let shop = Shop::open(&factory);
    let error = shop.runner(&store).run(checkout::<F>, key.clone(), dearer()).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }));
    assert_eq!(picture(&store, &key).await, before);
    assert!(shop.ran().is_empty());
    assert!(shop.checkout(&store, &key).await.is_ok(), "the right request goes on");
}

pub async fn another_body_is_a_mismatch_of_a_key_under_way<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let shop = Shop::acting(&factory, [("capture_payment", Act::Wait)]);
    let running = tokio::spawn(shop.runner(&store).run(checkout::<F>, key.clone(), any_cart()));
    shop.waits().await;
    let before = picture(&store, &key).await;
    let other = Shop::open(&factory);
    let error = other.runner(&store).run(checkout::<F>, key.clone(), dearer()).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "not in progress: waiting would not help");
    assert_eq!(picture(&store, &key).await, before);
    shop.let_go();
    running.await.unwrap().unwrap();
}

pub async fn another_workflow_is_a_mismatch_and_no_second_run<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    shop.checkout(&store, &key).await.unwrap();
    let before = picture(&store, &key).await;
    let error = shop.runner(&store).run(refund::<F>, key.clone(), any_cart()).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { workflow, .. } if workflow == "checkout"));
    assert_eq!(picture(&store, &key).await, before);
    assert!(!shop.ran().contains(&"give_back"));
}

pub async fn another_way_in_is_a_mismatch<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    let runner = shop.runner(&store);
    let call = |method: &str, path: &str| {
        let origin = Origin { method: Some(method.into()), path: Some(path.into()), ..Origin::default() };
        runner.call(checkout::<F>, key.clone(), any_cart()).origin(origin).run()
    };
    call("POST", "/carts/7/complete").await.unwrap();
    let before = picture(&store, &key).await;
    for (method, path) in
        [("PUT", "/carts/7/complete"), ("POST", "/carts/8/complete"), ("POST", "/carts/7/complete?")]
    {
        assert!(matches!(call(method, path).await, Err(Error::Mismatch { .. })));
    }
    assert_eq!(picture(&store, &key).await, before);
    assert!(call("POST", "/carts/7/complete").await.unwrap().replayed());
}

pub async fn members_in_another_order_are_the_same_request<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    let members = [("sku", json!("tea")), ("cents", json!(500)), ("to", json!({ "street": "a", "no": 1 }))];
    let runner = shop.runner(&store);
    runner.run(checkout::<F>, key.clone(), cart(&members)).await.unwrap();
    let mut turned = members;
    turned.reverse();
    assert!(runner.run(checkout::<F>, key, cart(&turned)).await.unwrap().replayed());
}

pub async fn numbers_count_by_their_digits<F: Factory>(factory: F) {
    let (store, shop) = (factory.fresh().await, Shop::open(&factory));
    let runner = shop.runner(&store);
    let cents = |number: Value| cart(&[("cents", number)]);
    let twins =
        [(json!(1), json!(1.0)), (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64))];
    for (i, (one, twin)) in twins.into_iter().enumerate() {
        let key = key(&format!("k{i}"));
        runner.run(checkout::<F>, key.clone(), cents(one)).await.unwrap();
        let error = runner.run(checkout::<F>, key, cents(twin)).await.unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }));
    }
}

pub async fn the_same_value_in_another_scope_is_a_run_of_its_own<F: Factory>(factory: F) {
    let (store, shop) = (factory.fresh().await, Shop::open(&factory));
    let (one, other) = (key("k"), Key::new("tenant-2", "k").unwrap());
    shop.checkout(&store, &one).await.unwrap();
    let before = picture(&store, &one).await;
    let answered = shop.runner(&store).run(checkout::<F>, other.clone(), dearer()).await.unwrap();
    assert!(!answered.replayed(), "another tenant's response is nobody else's");
    assert_eq!(answered.ran().len(), 3);
    assert_eq!(picture(&store, &one).await, before);
    let effect_keys = shop.effect_keys();
    assert_ne!(effect_keys[0], effect_keys[1]);
    assert_ne!(found(&store, &one).await.id, found(&store, &other).await.id);
}

pub async fn a_key_at_a_point_that_this_build_does_not_know_is_left_as_it_is<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    Shop::acting(&factory, [("stage_receipt", Act::Fail)]).checkout(&store, &key).await.unwrap_err();
    let before = picture(&store, &key).await;
    let shop = Shop::open(&factory);
    let old = Runner::builder(store.clone(), shop.clone()).lease(LEASE).with(shortened::<F>).build().unwrap();
    let errors = [
        old.run(shortened::<F>, key.clone(), any_cart()).await.unwrap_err(),
        old.resume(key.clone()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::UnknownPoint { point, workflow, .. }
            if point == "payment_captured" && workflow == "checkout"));
    }
    assert_eq!(picture(&store, &key).await, before, "neither claimed nor counted");
    let stranded = Stranded {
        workflow: "checkout".into(),
        recovery_point: "payment_captured".into(),
        keys: 1,
        registered: true,
    };
    assert_eq!(old.check().await.unwrap(), [stranded]);
    assert!(shop.ran().is_empty());
    assert!(shop.checkout(&store, &key).await.is_ok(), "the build that knows it goes on");
}

pub async fn a_workflow_that_is_not_registered_touches_nothing<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    Shop::acting(&factory, [("capture_payment", Act::Fail)]).checkout(&store, &key).await.unwrap_err();
    let before = picture(&store, &key).await;
    let runner = Runner::builder(store.clone(), Shop::open(&factory)).with(refund::<F>).build().unwrap();
    assert!(matches!(runner.resume(key.clone()).await, Err(Error::NotRegistered { .. })));
    assert_eq!(picture(&store, &key).await, before);
    assert!(!runner.check().await.unwrap()[0].registered);
}

pub async fn to_resume_an_unknown_key_makes_no_row<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let runner = Shop::open(&factory).runner(&store);
    assert!(matches!(runner.resume(key.clone()).await, Err(Error::UnknownKey { .. })));
    assert!(runner.status(&key).await.unwrap().is_none());
}

fn key(value: &str) -> Key {
    Key::new("tenant", value).expect("a valid key")
}

/// Not the request that the key was used for.
fn dearer() -> Cart {
    cart(&[("sku", json!("tea")), ("cents", json!(501))])
}
