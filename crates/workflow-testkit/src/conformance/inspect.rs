//! Looking: lists, the journal, the census.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use uuid::Uuid;
use workflow::Store;
use workflow::seam::{Advance, Backlog, Census, Filter, Lease, NewKey, PointRow, Status, Then};

use super::Factory;
use super::fixture::*;

pub async fn keys_are_listed_in_the_order_of_their_ids<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let ids = [3_u128 << 120, 1, u128::MAX, 1 << 64, 255, 256].map(Uuid::from_u128);
    for (i, id) in ids.into_iter().enumerate() {
        inserted(&store, &NewKey { id, ..new_key("tenant", &i.to_string()) }).await;
    }
    let mut sorted = ids.to_vec();
    sorted.sort();
    assert_eq!(listed(&store, &Filter::default()).await, sorted);
}

pub async fn pages_meet_without_gap_or_overlap<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let mut all = Vec::new();
    for i in 0..7 {
        all.push(planted(&store, &format!("k{i}")).await.0.id);
    }
    all.sort();
    let mut found = Vec::new();
    let mut filter = Filter { limit: 3, ..Filter::default() };
    for expected in [3, 3, 1, 0] {
        let page = listed(&store, &filter).await;
        assert_eq!(page.len(), expected);
        filter.after = page.last().copied().or(filter.after);
        found.extend(page);
    }
    assert_eq!(found, all);
}

pub async fn a_page_after_an_id_that_is_no_row_goes_on_there<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    for id in [10, 20, 30] {
        inserted(&store, &NewKey { id: Uuid::from_u128(id), ..new_key("tenant", &id.to_string()) }).await;
    }
    let after = |id| Filter { after: Some(Uuid::from_u128(id)), ..Filter::default() };
    assert_eq!(listed(&store, &after(15)).await, [20, 30].map(Uuid::from_u128));
    assert!(listed(&store, &after(30)).await.is_empty());
}

pub async fn a_page_without_a_limit_has_a_hundred_rows<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    for i in 0..102 {
        planted(&store, &format!("k{i}")).await;
    }
    assert_eq!(listed(&store, &Filter::default()).await.len(), 100);
    assert_eq!(listed(&store, &Filter { limit: 1000, ..Filter::default() }).await.len(), 102);
    assert_eq!(listed(&store, &Filter { limit: 1, ..Filter::default() }).await.len(), 1);
}

/// Six keys that differ in everything that a filter may ask for.
struct Mixed {
    plain: Uuid,
    scoped: Uuid,
    refund: Uuid,
    created: Uuid,
    finished: Uuid,
    refund_created: Uuid,
}

async fn mixed(store: &impl Store) -> Mixed {
    let (plain, _) = planted(store, "plain").await;
    let scoped = new_key("%", "plain");
    inserted(store, &scoped).await;
    let refund = NewKey { workflow: "refund".into(), ..new_key("tenant", "refund") };
    inserted(store, &refund).await;
    let (created, lease) = planted(store, "created").await;
    let at = row(store, &created).await.created_at;
    store.advance(lease, first(b"", at)).await.unwrap();
    let (finished, lease) = planted(store, "finished").await;
    store.advance(lease, finish(&response(b"done"), at)).await.unwrap();
    let refund_created = NewKey { workflow: "refund".into(), ..new_key("tenant", "refund_created") };
    let lease = inserted(store, &refund_created).await;
    store.advance(lease, first(b"", at)).await.unwrap();
    Mixed {
        plain: plain.id,
        scoped: scoped.id,
        refund: refund.id,
        created: created.id,
        finished: finished.id,
        refund_created: refund_created.id,
    }
}

pub async fn a_list_is_filtered_by_each_part<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let m = mixed(&store).await;
    let any = Filter::default();
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        (Filter { scope: some("%"), ..any.clone() }, vec![m.scoped]),
        (Filter { scope: some("tenan_"), ..any.clone() }, vec![]),
        (Filter { scope: some("Tenant"), ..any.clone() }, vec![]),
        (Filter { workflow: some("refund"), ..any.clone() }, vec![m.refund, m.refund_created]),
        (Filter { workflow: some(""), ..any.clone() }, vec![]),
        (Filter { status: Some(Status::Finished), ..any.clone() }, vec![m.finished]),
        (Filter { status: Some(Status::NeedsAttention), ..any.clone() }, vec![]),
        (Filter { recovery_point: some(CREATED), ..any.clone() }, vec![m.created, m.refund_created]),
        (Filter { recovery_point: some("started"), ..any }, vec![m.plain, m.scoped, m.refund]),
    ];
    for (filter, expected) in cases {
        assert_eq!(listed(&store, &filter).await, expected, "{filter:?}");
    }
}

pub async fn all_parts_of_a_filter_hold_at_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let m = mixed(&store).await;
    let filter = Filter {
        scope: Some("tenant".into()),
        workflow: Some("checkout".into()),
        status: Some(Status::Running),
        recovery_point: Some("started".into()),
        ..Filter::default()
    };
    assert_eq!(listed(&store, &filter).await, [m.plain]);
    assert!(listed(&store, &Filter { after: Some(m.plain), ..filter.clone() }).await.is_empty());
    let running =
        Filter { status: Some(Status::Running), limit: 2, after: Some(m.scoped), ..Filter::default() };
    assert_eq!(listed(&store, &running).await, [m.refund, m.created]);
}

pub async fn a_list_shows_what_find_shows<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let m = mixed(&store).await;
    let rows = store.list(&Filter::default()).await.unwrap();
    assert_eq!(rows.len(), 6);
    for listed in rows {
        let key = workflow::Key::new(listed.scope.clone(), listed.value.clone()).unwrap();
        let found = found(&store, &key).await;
        assert_eq!(listed.id, found.id);
        assert_eq!((listed.digest, listed.version), (found.digest, found.version));
        assert_eq!((listed.status, listed.recovery_point), (found.status, found.recovery_point));
        assert_eq!((listed.fence, listed.attempts), (found.fence, found.attempts));
        assert_eq!(
            (listed.step_attempts, listed.first_attempt_at),
            (found.step_attempts, found.first_attempt_at)
        );
        assert_eq!((listed.created_at, listed.last_run_at), (found.created_at, found.last_run_at));
        assert_eq!((listed.finished_at, listed.last_error), (found.finished_at, found.last_error));
        assert_eq!(listed.lease_left.is_zero(), listed.id == m.finished);
        assert!(listed.response == found.response && listed.response.is_some() == (listed.id == m.finished));
    }
}

pub async fn the_journal_tells_who_reached_which_point_when<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.first_attempt_at.unwrap();
    factory.clock(&store).advance(MINUTE);
    let reached = store.advance(lease, first(b"one", at)).await.unwrap();
    factory.clock(&store).advance(LEASE);
    let taken = taken(&store, take_of(&new)).await;
    let second =
        workflow::seam::Advance { attempts: taken.step_attempts, ..second(b"two", taken.first_attempt_at) };
    let last = store.advance(taken.lease, second).await.unwrap();
    let expected = [
        PointRow {
            key_id: new.id,
            seq: 1,
            name: CREATED.into(),
            step: "create_order".into(),
            attempts: 1,
            first_attempt_at: at,
            reached_at: reached,
            fence: 1,
        },
        PointRow {
            key_id: new.id,
            seq: 2,
            name: CAPTURED.into(),
            step: "capture_payment".into(),
            attempts: 2,
            first_attempt_at: reached,
            reached_at: last,
            fence: 2,
        },
    ];
    assert_eq!(store.journal(&[new.id]).await.unwrap(), expected);
}

pub async fn the_journal_is_of_the_rows_that_were_asked_for_in_order<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let mut ids = Vec::new();
    for value in ["a", "b", "c"] {
        let (new, lease) = planted(&store, value).await;
        let at = row(&store, &new).await.created_at;
        store.advance(lease, first(b"", at)).await.unwrap();
        store.advance(lease, second(b"", at)).await.unwrap();
        ids.push(new.id);
    }
    let of = async |ids: &[Uuid]| -> Vec<_> {
        store.journal(ids).await.unwrap().into_iter().map(|point| (point.key_id, point.seq)).collect()
    };
    let mut all = [(ids[2], 1), (ids[2], 2), (ids[0], 1), (ids[0], 2)];
    all.sort();
    assert_eq!(of(&[ids[2], ids[0]]).await, all);
    assert_eq!(of(&[ids[1], Uuid::now_v7()]).await, [(ids[1], 1), (ids[1], 2)]);
    assert_eq!(of(&[]).await, []);
}

pub async fn the_census_counts_unfinished_keys_by_workflow_and_point<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    assert_eq!(store.census().await.unwrap(), []);
    let m = mixed(&store).await;
    // A lease is nothing to a census.
    store.release(Lease { id: m.plain, fence: 1 }, Some("away")).await.unwrap();
    let mut census = store.census().await.unwrap();
    census.sort_by(|a, b| (&a.workflow, &a.recovery_point).cmp(&(&b.workflow, &b.recovery_point)));
    let standing = |workflow: &str, point: &str, keys| Census {
        workflow: workflow.into(),
        recovery_point: point.into(),
        keys,
    };
    let expected = [
        standing("checkout", CREATED, 1),
        standing("checkout", "started", 2),
        standing("refund", CREATED, 1),
        standing("refund", "started", 1),
    ];
    assert_eq!(census, expected);
}

pub async fn the_backlog_is_of_what_is_not_finished<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let none = Backlog { oldest: None, needs_attention: 0, outbox: 0 };
    assert_eq!(store.backlog().await.unwrap(), none);
    let (old, lease) = planted(&store, "old").await;
    let at = row(&store, &old).await.created_at;
    factory.clock(&store).advance(MINUTE);
    let (parked, parking) = planted(&store, "parked").await;
    store.fail(parking, failure(1), Then::Park).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    store.advance_in(&mut tx, lease, &[first(b"", at)], &[job("receipt"), job("label")]).await.unwrap();
    store.commit(tx).await.unwrap();
    let two = store.backlog().await.unwrap();
    assert_eq!((two.needs_attention, two.outbox), (1, 2));
    assert_apart(at, at + two.oldest.unwrap(), MINUTE);

    // A finished key is as old, and is not looked at; its jobs are.
    let response = response(b"done");
    let done = Advance { prev: CREATED, seq: 2, ..finish(&response, at) };
    store.advance(lease, done).await.unwrap();
    let one = store.backlog().await.unwrap();
    assert_eq!((one.needs_attention, one.outbox), (1, 2));
    assert!(one.oldest.unwrap() < MINUTE, "{one:?}");
    assert!(store.unpark(&key_of(&parked)).await.unwrap());
    assert_eq!(store.backlog().await.unwrap().needs_attention, 0);
}

async fn listed(store: &impl Store, filter: &Filter) -> Vec<Uuid> {
    store.list(filter).await.unwrap().into_iter().map(|row| row.id).collect()
}
