//! The end: the response is stored once, and replayed byte for byte.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use workflow::seam::{Advance, Lease, Status, StoredResponse, Take, To};
use workflow::{Error, Key, Store, StoreError};

use super::Factory;
use super::fixture::*;
use super::shop::{Act, Shop, checkout, receipt};

pub async fn a_finished_key_holds_its_response_and_no_lease<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let response = response(b"done");
    end(&store, lease, &response).await.unwrap();
    let row = row(&store, &new).await;
    assert_eq!((row.status, &*row.recovery_point, row.fence), (Status::Finished, "finished", 1));
    assert!(row.response == Some(response));
    assert!(row.lease_left.is_zero() && row.finished_at.is_some());
}

pub async fn a_second_handle_sees_the_same_response<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, lease) = planted(&store, "k").await;
    assert!(row(&other, &new).await.response.is_none());
    end(&store, lease, &response(b"done")).await.unwrap();
    assert!(row(&other, &new).await.response == Some(response(b"done")));
}

pub async fn headers_and_body_of_any_bytes_come_back<F: Factory>(factory: F) {
    let every: Vec<u8> = (0..=255).rev().chain([0, 0]).collect();
    comes_back(factory, StoredResponse { code: 200, headers: every.clone(), body: every }).await;
}

pub async fn a_body_of_one_mebibyte_comes_back<F: Factory>(factory: F) {
    let body = (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    comes_back(factory, StoredResponse { code: 200, headers: b"[]".to_vec(), body }).await;
}

pub async fn an_empty_body_is_not_no_body<F: Factory>(factory: F) {
    comes_back(factory, StoredResponse { code: 204, headers: Vec::new(), body: Vec::new() }).await;
}

pub async fn the_lowest_and_the_highest_status_come_back<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    for code in [100, 599] {
        let (new, lease) = planted(&store, &code.to_string()).await;
        let response = StoredResponse { code, ..response(b"") };
        end(&store, lease, &response).await.unwrap();
        assert_eq!(row(&store, &new).await.response.unwrap().code, code);
    }
}

async fn comes_back<F: Factory>(factory: F, response: StoredResponse) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    end(&store, lease, &response).await.unwrap();
    let stored = row(&store, &new).await.response.expect("a response");
    assert_eq!(stored.code, response.code);
    assert!(stored.headers == response.headers, "the headers are not those that were stored");
    assert!(stored.body == response.body, "the body is not the one that was stored");
}

pub async fn the_first_response_stands<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    end(&store, lease, &response(b"first")).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    for fence in [1, 2] {
        let again = end(&store, Lease { fence, ..lease }, &response(b"second")).await;
        assert!(matches!(again, Err(StoreError::LeaseLost)));
    }
    let at = row(&store, &new).await.created_at;
    let response = response(b"third");
    let to = To::Finished { response: &response, retention: RETENTION };
    let from_the_end = Advance { prev: "finished", seq: 2, to, ..first(b"", at) };
    assert!(matches!(store.advance(lease, from_the_end).await, Err(StoreError::LeaseLost)));
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_finished_key_goes_back_to_no_point<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    end(&store, lease, &response(b"done")).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    let at = row(&store, &new).await.created_at;
    for prev in ["started", "finished"] {
        let back = Advance { prev, seq: 2, ..first(b"late", at) };
        assert!(matches!(store.advance(lease, back).await, Err(StoreError::LeaseLost)));
    }
    assert!(matches!(again(&store, lease, 1).await, Err(StoreError::LeaseLost)));
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_finished_key_is_never_claimed_again<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    end(&store, lease, &response(b"done")).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    for _ in 0..2 {
        let take = Take { points: &["started", "finished", CREATED], ..take_of(&new) };
        assert!(store.take(take).await.unwrap().is_none());
        let own = Take { claim_id: new.claim_id, ..take };
        assert!(store.take(own).await.unwrap().is_none(), "not even by its own claim");
        assert!(store.insert(&new_key("tenant", "k")).await.unwrap().is_none());
        // And again when lease and retention are over: only the reaper forgets.
        factory.clock(&store).advance(RETENTION * 2);
    }
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn the_end_is_a_line_of_the_journal<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let at = store.advance(lease, first(b"data", at)).await.unwrap();
    let response = response(b"done");
    let end = Advance { prev: CREATED, step: "stage_receipt", seq: 2, attempts: 3, ..finish(&response, at) };
    store.advance(lease, end).await.unwrap();
    let journal = store.journal(&[new.id]).await.unwrap();
    let last = &journal[1];
    assert_eq!((journal.len(), last.seq, &*last.name, &*last.step), (2, 2, "finished", "stage_receipt"));
    assert_eq!((last.attempts, last.first_attempt_at, last.fence), (3, at, 1));
    assert_eq!(Some(last.reached_at), row(&store, &new).await.finished_at);
}

pub async fn a_replay_is_the_same_to_the_byte_and_runs_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (shop, key) = (Shop::open(&factory), key("k"));
    let first = shop.checkout(&store, &key).await.unwrap();
    assert_eq!(first.ran(), ["create_order", "capture_payment", "stage_receipt"]);
    assert!(!first.replayed() && *first.response() == receipt());
    let before = picture(&store, &key).await;
    let later = Shop::open(&factory);
    let other = factory.reopen(&store).await;
    let again = later.checkout(&other, &key).await.unwrap();
    assert!(again.replayed() && again.ran().is_empty() && later.ran().is_empty());
    assert_eq!(again.status(), 201);
    assert_eq!(again.headers(), receipt().headers());
    assert!(again.body() == receipt().body());
    assert_eq!(picture(&store, &key).await, before, "a replay leaves no trace");
    assert_eq!(sorted(factory.notes(&store).await), ["order", "receipt"]);
    assert_eq!(factory.staged(&store).await.len(), 1);
}

pub async fn a_refusal_is_stored_and_its_steps_writes_are_rolled_back<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (shop, key) = (Shop::acting(&factory, [("stage_receipt", Act::Refuse)]), key("k"));
    let refused = shop.checkout(&store, &key).await.unwrap();
    assert_eq!(refused.status(), 402);
    assert_eq!(factory.notes(&store).await, ["order"], "earlier steps stay");
    assert!(factory.staged(&store).await.is_empty());
    let again = Shop::open(&factory).checkout(&store, &key).await.unwrap();
    assert!(again.replayed() && again.response() == refused.response());
    assert_eq!(found(&store, &key).await.status, Status::Finished);
}

pub async fn a_refusal_by_a_foreign_step_ends_the_key<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (shop, key) = (Shop::acting(&factory, [("capture_payment", Act::Refuse)]), key("k"));
    let refused = shop.checkout(&store, &key).await.unwrap();
    assert_eq!((refused.status(), shop.ran().len()), (402, 2));
    assert_eq!(found(&store, &key).await.recovery_point, "finished");
    let resumed = Shop::open(&factory).runner(&store).resume(key).await.unwrap();
    assert!(resumed.replayed() && resumed.response() == refused.response());
}

pub async fn after_an_error_the_key_goes_on_at_its_point<F: Factory>(factory: F) {
    for step in ["create_order", "capture_payment", "stage_receipt"] {
        goes_on(&factory, step, Act::Fail, "the gateway is away").await;
    }
}

pub async fn a_panic_in_a_step_is_an_error_like_any_other<F: Factory>(factory: F) {
    for step in ["create_order", "capture_payment", "stage_receipt"] {
        goes_on(&factory, step, Act::Panic, "panicked").await;
    }
}

/// A step stops; its writes are gone, its lease is free, the steps before it are done; a second run does the rest.
async fn goes_on<F: Factory>(factory: &F, step: &'static str, act: Act, why: &str) {
    let (store, key) = (factory.fresh().await, key("k"));
    let broken = Shop::acting(factory, [(step, act)]);
    let error = broken.checkout(&store, &key).await.unwrap_err();
    assert!(matches!(&error, Error::Step { step: at, .. } if *at == step), "{error}");
    let row = found(&store, &key).await;
    assert!(row.lease_left.is_zero() && row.response.is_none());
    assert_eq!((row.attempts, row.status), (0, Status::Running));
    assert!(row.last_error.is_some_and(|text| text.contains(why)));
    let done = broken.ran().len() - 1;
    assert_eq!(factory.notes(&store).await.len(), done.min(1), "only what earlier steps wrote");
    assert!(factory.staged(&store).await.is_empty());

    let shop = Shop::open(factory);
    let answered = shop.checkout(&store, &key).await.unwrap();
    assert_eq!((answered.skipped().len(), answered.ran().len()), (done, 3 - done));
    assert!(*answered.response() == receipt());
    assert_eq!(sorted(factory.notes(&store).await), ["order", "receipt"]);
    assert_eq!(factory.staged(&store).await.len(), 1);
    let mut effect_keys = [broken.effect_keys(), shop.effect_keys()].concat();
    effect_keys.dedup();
    assert_eq!(effect_keys.len(), 1, "each attempt at the gateway has the same effect key");
}

pub async fn a_resumed_key_runs_from_what_is_stored<F: Factory>(factory: F) {
    let (store, key) = (factory.fresh().await, key("k"));
    let broken = Shop::acting(&factory, [("stage_receipt", Act::Fail)]);
    broken.checkout(&store, &key).await.unwrap_err();
    let other = factory.reopen(&store).await;
    let answered = Shop::open(&factory).runner(&other).resume(key.clone()).await.unwrap();
    assert_eq!(answered.ran(), ["stage_receipt"]);
    assert!(*answered.response() == receipt());
}

pub async fn a_response_is_replayed_long_after_its_retention<F: Factory>(factory: F) {
    let (store, key, shop) = (factory.fresh().await, key("k"), Shop::open(&factory));
    shop.checkout(&store, &key).await.unwrap();
    factory.clock(&store).advance(RETENTION * 10);
    let again = shop.runner(&store).run(checkout::<F>, key, super::shop::any_cart()).await.unwrap();
    assert!(again.replayed() && *again.response() == receipt());
}

fn key(value: &str) -> Key {
    Key::new("tenant", value).expect("a valid key")
}

fn sorted(mut notes: Vec<String>) -> Vec<String> {
    notes.sort();
    notes
}

/// Finishes a key from `started`.
async fn end(store: &impl Store, lease: Lease, response: &StoredResponse) -> Result<(), StoreError> {
    let at = store.settle(lease).await?.and_then(|found| found.first_attempt_at).unwrap_or_default();
    store.advance(lease, finish(response, at)).await.map(|_| ())
}
