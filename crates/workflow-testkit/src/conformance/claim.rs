//! Claims: insert, take, find.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use workflow::Store;
use workflow::seam::{Lease, NewKey, Status, Take};

use super::Factory;
use super::fixture::*;

pub async fn a_new_key_stands_at_started_with_fence_one<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let row = row(&store, &new).await;
    assert_eq!((row.id, row.fence, row.status), (lease.id, 1, Status::Running));
    assert_eq!(row.recovery_point, "started");
    assert_eq!((row.attempts, row.step_attempts), (1, 1));
    assert!(row.lease_left > LEASE - SLACK && row.lease_left <= LEASE);
}

pub async fn a_new_row_holds_what_was_given_and_nothing_else<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    let row = row(&store, &new).await;
    assert_eq!((&*row.scope, &*row.value, &*row.workflow, row.version), ("tenant", "k", "checkout", 3));
    assert_eq!(row.digest, new.digest);
    assert!(row.response.is_none() && row.finished_at.is_none() && row.last_error.is_none());
    assert!(store.journal(&[new.id]).await.unwrap().is_empty());
}

pub async fn an_insert_returns_when_the_first_attempt_is_recorded<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let new = new_key("tenant", "k");
    let at = store.insert(&new).await.unwrap();
    assert!(at.is_some());
    assert_eq!(row(&store, &new).await.first_attempt_at, at);
}

pub async fn an_insert_of_a_known_key_touches_nothing<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    let before = picture(&store, &key_of(&new)).await;
    let other = NewKey { workflow: "refund".into(), digest: bytes32(9), ..new_key("tenant", "k") };
    assert!(store.insert(&other).await.unwrap().is_none());
    assert!(store.insert(&new).await.unwrap().is_none(), "not even by the same claim");
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn an_id_is_never_used_twice<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    let before = picture(&store, &key_of(&new)).await;
    let twin = NewKey { id: new.id, ..new_key("tenant", "another") };
    assert!(!matches!(store.insert(&twin).await, Ok(Some(_))), "the id belongs to another key");
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    assert!(store.find(&key_of(&twin)).await.unwrap().is_none());
}

pub async fn a_leased_key_is_not_taken<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE - SLACK);
    let before = picture(&store, &key_of(&new)).await;
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn a_key_whose_lease_ran_out_is_taken_with_the_next_fence<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((taken.lease.id, taken.lease.fence, taken.step_attempts), (new.id, 2, 2));
    let row = row(&store, &new).await;
    assert_eq!((row.fence, row.attempts, row.step_attempts, row.status), (2, 2, 2, Status::Running));
    assert!(row.lease_left > LEASE - SLACK && row.lease_left <= LEASE);
}

pub async fn a_taken_key_is_leased_again<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    taken(&store, take_of(&new)).await;
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
}

pub async fn a_take_returns_the_request_and_the_seed_but_no_data_at_started<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let request: Vec<u8> = (0..=255).collect();
    let new = NewKey { request_params: request.clone(), ..new_key("tenant", "k") };
    inserted(&store, &new).await;
    factory.clock(&store).advance(LEASE);
    let taken = taken(&store, take_of(&new)).await;
    assert_eq!((&*taken.recovery_point, taken.seq, taken.data), ("started", 0, None));
    assert_eq!(taken.request_params, request);
    assert_eq!(taken.effect_seed, new.effect_seed);
}

pub async fn an_unknown_key_is_neither_found_nor_taken<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let new = new_key("tenant", "k");
    assert!(store.find(&key_of(&new)).await.unwrap().is_none());
    assert!(store.take(take_of(&new)).await.unwrap().is_none());
    assert!(store.find(&key_of(&new)).await.unwrap().is_none(), "a take makes no row");
}

pub async fn a_claim_whose_reply_was_lost_is_taken_by_its_claim_id<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    let again = taken(&store, Take { claim_id: new.claim_id, ..take_of(&new) }).await;
    assert_eq!((again.lease.fence, again.step_attempts), (1, 1), "one claim is one attempt of one holder");
    assert_eq!(row(&store, &new).await.attempts, 1);
}

pub async fn a_take_whose_reply_was_lost_is_taken_again_and_counted_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let take = take_of(&new);
    taken(&store, take).await;
    let again = taken(&store, take).await;
    assert_eq!((again.lease.fence, again.step_attempts), (2, 2));
    assert_eq!(row(&store, &new).await.attempts, 2);
}

pub async fn a_late_duplicate_of_a_take_does_not_throw_its_own_run_out<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let take = take_of(&new);
    let ours = taken(&store, take).await;
    let at = store.advance(ours.lease, first(b"data", ours.first_attempt_at)).await.unwrap();
    taken(&store, take).await;
    let done = store.advance(ours.lease, second(b"more", at)).await;
    assert!(done.is_ok(), "the run has its lease still: {done:?}");
}

pub async fn an_overtaken_claim_id_does_not_take_the_key_back<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    taken(&store, take_of(&new)).await;
    let late = store.take(Take { claim_id: new.claim_id, ..take_of(&new) }).await.unwrap();
    assert!(late.is_none(), "another claim has the lease");
}

pub async fn a_claim_id_opens_no_other_key<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (ours, _) = planted(&store, "ours").await;
    let (other, _) = planted(&store, "other").await;
    assert!(store.take(Take { claim_id: ours.claim_id, ..take_of(&other) }).await.unwrap().is_none());
}

pub async fn a_key_of_another_workflow_is_not_taken<F: Factory>(factory: F) {
    refused(factory, |take| Take { workflow: "refund", ..take }).await;
}

pub async fn a_key_with_another_digest_is_not_taken<F: Factory>(factory: F) {
    refused(factory, |take| Take { digest: Some(&[1; 32]), ..take }).await;
}

pub async fn a_key_at_a_point_that_is_not_listed_is_not_taken<F: Factory>(factory: F) {
    refused(factory, |take| Take { points: &["order_created", "start", "started_", "STARTED"], ..take })
        .await;
}

pub async fn a_take_that_lists_no_point_takes_nothing<F: Factory>(factory: F) {
    refused(factory, |take| Take { points: &[], ..take }).await;
}

async fn refused<F: Factory>(factory: F, change: impl FnOnce(Take<'_>) -> Take<'_>) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    let before = picture(&store, &key_of(&new)).await;
    assert!(store.take(change(take_of(&new))).await.unwrap().is_none());
    assert_eq!(picture(&store, &key_of(&new)).await, before);
}

pub async fn who_resumes_without_a_request_takes_any_digest<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    factory.clock(&store).advance(LEASE);
    assert_eq!(taken(&store, Take { digest: None, ..take_of(&new) }).await.lease.fence, 2);
}

pub async fn who_takes_a_key_knows_how_many_claims_have_crashed<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    store.release(lease, None).await.unwrap();
    assert_eq!(taken(&store, take_of(&new)).await.attempts, 1, "it was given back");
    for crashed in 1..=2 {
        factory.clock(&store).advance(LEASE);
        let take = take_of(&new);
        assert_eq!(taken(&store, take).await.attempts, crashed + 1);
        let again = taken(&store, take).await;
        assert_eq!(again.attempts, crashed + 1, "a take whose reply was lost is no crash");
    }
    let at = row(&store, &new).await.created_at;
    let last = Lease { id: new.id, fence: row(&store, &new).await.fence };
    store.advance(last, first(b"", at)).await.unwrap();
    store.release(last, None).await.unwrap();
    assert_eq!(taken(&store, take_of(&new)).await.attempts, 1, "it has made progress since");
}

pub async fn claims_that_crash_are_counted_and_the_fence_only_grows<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, _) = planted(&store, "k").await;
    for crashes in 1..=5 {
        factory.clock(&store).advance(LEASE);
        let taken = taken(&store, take_of(&new)).await;
        assert_eq!((taken.lease.fence, taken.step_attempts), (crashes + 1, crashes as i32 + 1));
        assert_eq!(row(&store, &new).await.attempts, crashes as i32 + 1);
    }
}

pub async fn scopes_do_not_see_each_other<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (one, other) = (new_key("tenant-1", "k"), new_key("tenant-2", "k"));
    inserted(&store, &one).await;
    assert!(store.find(&key_of(&other)).await.unwrap().is_none());
    inserted(&store, &other).await;
    assert_eq!(row(&store, &one).await.id, one.id);
    assert_eq!(row(&store, &other).await.id, other.id);
    factory.clock(&store).advance(LEASE);
    let before = picture(&store, &key_of(&one)).await;
    assert_eq!(taken(&store, take_of(&other)).await.lease.id, other.id);
    assert_eq!(picture(&store, &key_of(&one)).await, before);
}

pub async fn where_the_scope_ends_counts<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let names =
        [("a", "bc"), ("ab", "c"), ("a b", "c"), ("a", "b c"), ("bc", "a"), ("a:b", "c"), ("a", "b:c")];
    all_apart(&store, &names).await;
}

pub async fn letters_and_spaces_of_a_key_count<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let names =
        [("s", "key"), ("s", "Key"), ("S", "key"), ("s", "key "), ("s", " key"), ("s ", "key"), ("s", " ")];
    all_apart(&store, &names).await;
}

pub async fn wildcards_quotes_and_backslashes_are_plain_characters<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let values = [
        "%", "_", "\\", "'", "''", "\"", "\\'", "k%", "k_", "k\\%", "kk", "$1", "?1", ":k", "{k}", "--",
        "NULL", "null", "0", "00",
    ];
    let names: Vec<_> = values.iter().map(|value| (*value, *value)).collect();
    all_apart(&store, &names).await;
}

pub async fn keys_of_every_character_and_of_255_characters_are_kept<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let every: String = (' '..='~').collect();
    let (long, twin) = ("k".repeat(255), format!("{}K", "k".repeat(254)));
    all_apart(&store, &[(&every, &every), (&long, &long), (&long, &twin), (&twin, &long)]).await;
}

/// Each of these names is a key of its own.
async fn all_apart(store: &impl Store, names: &[(&str, &str)]) {
    let mut keys = Vec::new();
    for (scope, value) in names {
        let new = new_key(scope, value);
        inserted(store, &new).await;
        keys.push(new);
    }
    for new in &keys {
        let row = row(store, new).await;
        assert_eq!((row.id, &row.scope, &row.value), (new.id, &new.scope, &new.value));
        store.release(workflow::seam::Lease { id: new.id, fence: 1 }, None).await.unwrap();
        let taken = taken(store, take_of(new)).await;
        assert_eq!((taken.lease.id, taken.lease.fence), (new.id, 2));
    }
}

pub async fn a_second_handle_sees_the_row_and_may_take_it<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let (new, _) = planted(&store, "k").await;
    assert_eq!(row(&other, &new).await.id, new.id);
    assert!(other.insert(&new_key("tenant", "k")).await.unwrap().is_none());
    assert!(other.take(take_of(&new)).await.unwrap().is_none());
    factory.clock(&store).advance(LEASE);
    assert_eq!(taken(&other, take_of(&new)).await.lease.fence, 2);
    assert_eq!(row(&store, &new).await.fence, 2);
}

pub async fn a_request_without_method_and_path_is_kept<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let new =
        NewKey { request_method: None, request_path: None, request_params: Vec::new(), ..new_key("s", "k") };
    inserted(&store, &new).await;
    factory.clock(&store).advance(LEASE);
    assert_eq!(taken(&store, take_of(&new)).await.request_params, b"", "an empty request is not no request");
}
