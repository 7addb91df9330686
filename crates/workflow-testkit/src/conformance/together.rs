//! Many calls at once, which a store may commit together: each is answered for itself, and its row is exact.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use workflow::seam::{Advance, Cancel, Lease, NewKey, Status, StoredResponse};
use workflow::{Key, Store, StoreError};

use super::Factory;
use super::concurrency::at_once;
use super::fixture::*;

const CROWD: usize = 200;

pub async fn of_many_inserts_each_key_is_made_once<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    let distinct = (0..CROWD).map(|i| format!("k{i}"));
    let same = (0..50).map(|_| "the same".to_owned());
    // Shuffled: those of the one key stand between the others.
    let mut values: Vec<_> = distinct.chain(same).collect();
    values.sort_by_key(|value| value.bytes().rev().collect::<Vec<_>>());
    let inserts = values.into_iter().enumerate().map(|(i, value)| {
        let handle = if i % 2 == 0 { store.clone() } else { other.clone() };
        let new = new_key("tenant", &value);
        async move { (handle.insert(&new).await.unwrap(), new) }
    });
    let mut made = HashSet::new();
    for (at, new) in at_once(inserts).await {
        let standing = row(&store, &new).await;
        assert_eq!(standing.id == new.id, at.is_some(), "{} was made by whoever was told so", new.value);
        if let Some(at) = at {
            assert!(made.insert(new.value.clone()), "{} was made twice", new.value);
            assert_eq!((standing.first_attempt_at, standing.fence), (Some(at), 1));
        }
    }
    assert_eq!(made.len(), CROWD + 1);
}

pub async fn of_many_inserts_the_one_with_a_used_id_is_refused_alone<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (used, _) = planted(&store, "used").await;
    let before = picture(&store, &key_of(&used)).await;
    let inserts = (0..50).map(|i| {
        let (store, mut new) = (store.clone(), new_key("tenant", &format!("k{i}")));
        if i == 20 {
            new.id = used.id;
        }
        async move { (i, store.insert(&new).await, new) }
    });
    for (i, answer, new) in at_once(inserts).await {
        match answer {
            Ok(Some(_)) if i != 20 => assert_eq!(row(&store, &new).await.id, new.id),
            Err(StoreError::Refused { .. }) if i == 20 => {
                assert!(store.find(&key_of(&new)).await.unwrap().is_none());
            }
            answer => panic!("{i}: {answer:?}"),
        }
    }
    assert_eq!(picture(&store, &key_of(&used)).await, before);
}

pub async fn of_many_inserts_each_row_is_as_if_it_were_alone<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let inserts = (0..60_u8).map(|i| {
        let store = store.clone();
        let new = NewKey {
            version: u32::from(i),
            digest: bytes32(i),
            effect_seed: bytes32(i.wrapping_mul(3)),
            request_method: (i % 2 == 0).then(|| format!("METHOD {i}")),
            request_path: (i % 3 == 0).then(|| format!("/'path\\ {i}\"{{}},NULL")),
            request_params: vec![i; usize::from(i) * 100],
            lease: LEASE * u32::from(i + 1),
            ..new_key(if i % 2 == 0 { "tenant" } else { "{other, \"tenant\"}" }, &format!("k'{i}\\,\""))
        };
        async move {
            store.insert(&new).await.unwrap().unwrap();
            new
        }
    });
    for new in at_once(inserts).await {
        let found = row(&store, &new).await;
        let version = i32::try_from(new.version).unwrap();
        assert_eq!((found.id, found.version, &*found.digest), (new.id, version, &new.digest[..]));
        assert!(found.lease_left <= new.lease && found.lease_left > new.lease - SLACK);
        store.release(Lease { id: new.id, fence: 1 }, None).await.unwrap();
        let taken = taken(&store, take_of(&new)).await;
        assert!(taken.request_params == new.request_params && taken.effect_seed == new.effect_seed);
    }
}

pub async fn of_many_advances_each_is_answered_for_itself<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let keys = planted_many(&store, CROWD).await;
    let mut before = Vec::new();
    for (i, (new, _)) in keys.iter().enumerate() {
        if Kind::of(i) == Kind::Cancelled {
            cancelled(&store, new).await;
        }
        before.push(picture(&store, &key_of(new)).await);
    }
    let advances = keys.iter().enumerate().map(|(i, (new, at))| {
        let (store, id, at) = (store.clone(), new.id, *at);
        async move {
            let data = vec![i as u8; i];
            match Kind::of(i) {
                Kind::Right | Kind::Cancelled => {
                    store.advance(Lease { id, fence: 1 }, first(&data, at)).await
                }
                Kind::Stale => store.advance(Lease { id, fence: 0 }, first(&data, at)).await,
                Kind::Early => store.advance(Lease { id, fence: 2 }, first(&data, at)).await,
                Kind::Elsewhere => store.advance(Lease { id, fence: 1 }, second(&data, at)).await,
            }
        }
    });
    let answers = at_once(advances).await;
    // The order of the answers is by chance: the rows tell who was answered how.
    let refused = answers.iter().filter(|answer| matches!(answer, Err(StoreError::LeaseLost))).count();
    let right = (0..CROWD).filter(|i| Kind::of(*i) == Kind::Right).count();
    assert_eq!((answers.iter().flatten().count(), refused), (right, CROWD - right));
    for (i, (new, _)) in keys.iter().enumerate() {
        if Kind::of(i) != Kind::Right {
            assert_eq!(picture(&store, &key_of(new)).await, before[i], "{i} was refused");
            continue;
        }
        let standing = row(&store, new).await;
        assert_eq!(standing.recovery_point, CREATED);
        assert!(answers.iter().flatten().any(|at| Some(*at) == standing.first_attempt_at));
        assert_eq!(store.journal(&[new.id]).await.unwrap().len(), 1);
        store.release(Lease { id: new.id, fence: 1 }, None).await.unwrap();
        assert!(taken(&store, take_of(new)).await.data == Some(vec![i as u8; i]), "{i} has another's data");
    }
}

pub async fn advances_and_responses_at_once_are_each_exact<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let keys = planted_many(&store, CROWD).await;
    let calls = keys.iter().enumerate().map(|(i, (new, at))| {
        let (store, lease, at) = (store.clone(), Lease { id: new.id, fence: 1 }, *at);
        async move {
            let response = numbered(i);
            let advance = if i % 2 == 0 { finish(&response, at) } else { first(b"data", at) };
            store
                .advance(lease, Advance { attempts: i as i32 + 1, lease: LEASE * (1 + i as u32), ..advance })
                .await
        }
    });
    assert!(at_once(calls).await.iter().all(Result::is_ok));
    for (i, (new, at)) in keys.iter().enumerate() {
        let row = row(&store, new).await;
        let journal = store.journal(&[new.id]).await.unwrap();
        assert_eq!((journal.len(), journal[0].seq, journal[0].attempts), (1, 1, i as i32 + 1));
        assert_eq!((journal[0].first_attempt_at, journal[0].fence), (*at, 1));
        match i % 2 {
            0 => {
                assert_eq!((row.status, row.lease_left), (Status::Finished, Duration::ZERO));
                assert!(row.response == Some(numbered(i)), "{i} has another's response");
                assert_eq!((row.finished_at, row.step_attempts), (Some(journal[0].reached_at), 0));
            }
            _ => {
                assert_eq!((row.status, &*row.recovery_point), (Status::Running, CREATED));
                assert!(row.response.is_none() && row.finished_at.is_none());
                let lease = LEASE * (1 + i as u32);
                assert!(row.lease_left <= lease && row.lease_left > lease - SLACK, "{i} has another's lease");
            }
        }
    }
}

pub async fn of_the_same_advance_twice_at_once_one_wins<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let keys = planted_many(&store, 50).await;
    let twice = keys.iter().chain(&keys).map(|(new, at)| {
        let (store, lease, at) = (store.clone(), Lease { id: new.id, fence: 1 }, *at);
        async move { (lease.id, store.advance(lease, first(b"data", at)).await) }
    });
    let mut won = HashSet::new();
    let mut lost = HashSet::new();
    for (id, answer) in at_once(twice).await {
        match answer {
            Ok(_) => assert!(won.insert(id), "both won"),
            Err(StoreError::LeaseLost) => assert!(lost.insert(id), "both lost"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((won.len(), lost.len()), (50, 50));
    for (new, _) in &keys {
        assert_eq!(store.journal(&[new.id]).await.unwrap().len(), 1);
    }
}

pub async fn of_two_walks_of_one_key_at_once_one_happens<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let other = factory.reopen(&store).await;
    for (new, at) in planted_many(&store, 10).await {
        let walks = [store.clone(), other.clone()].into_iter().map(|store| {
            let (factory, lease) = (factory.clone(), Lease { id: new.id, fence: 1 });
            async move {
                let mut tx = store.begin().await.unwrap();
                factory.note(&mut *tx, "order").await.unwrap();
                let next = Advance { first_attempt_at: None, ..second(b"two", at) };
                match store.advance_in(&mut tx, lease, &[first(b"one", at), next], &[job("receipt")]).await {
                    Ok(_) => store.commit(tx).await.map(|()| true).unwrap(),
                    Err(StoreError::LeaseLost) => {
                        store.rollback(tx).await;
                        false
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let happened = at_once(walks).await.into_iter().filter(|happened| *happened).count();
        assert_eq!((happened, store.journal(&[new.id]).await.unwrap().len()), (1, 2));
    }
    assert_eq!((factory.notes(&store).await.len(), factory.staged(&store).await.len()), (10, 10));
}

pub async fn of_many_releases_each_keeps_its_own_reason<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let keys = planted_many(&store, CROWD).await;
    let releases = keys.iter().enumerate().map(|(i, (new, _))| {
        // Every fifth is not the holder's.
        let (store, lease) = (store.clone(), Lease { id: new.id, fence: if i % 5 == 0 { 2 } else { 1 } });
        async move { store.release(lease, reason(i).as_deref()).await }
    });
    assert!(at_once(releases).await.iter().all(Result::is_ok));
    for (i, (new, _)) in keys.iter().enumerate() {
        let row = row(&store, new).await;
        match i % 5 {
            0 => assert!(row.attempts == 1 && !row.lease_left.is_zero() && row.last_error.is_none()),
            _ => {
                assert!(row.attempts == 0 && row.lease_left.is_zero());
                assert_eq!(row.last_error, reason(i));
            }
        }
    }
}

pub async fn inserts_advances_and_releases_at_once_do_not_mix<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let keys = planted_many(&store, CROWD).await;
    let calls = keys.iter().enumerate().map(|(i, (new, at))| {
        let (store, lease, at) = (store.clone(), Lease { id: new.id, fence: 1 }, *at);
        async move {
            match i % 3 {
                0 => drop(store.insert(&new_key("another", &format!("k{i}"))).await.unwrap().unwrap()),
                1 => drop(store.advance(lease, first(b"data", at)).await.unwrap()),
                _ => store.release(lease, Some("away")).await.unwrap(),
            }
        }
    });
    at_once(calls).await;
    for (i, (new, _)) in keys.iter().enumerate() {
        let standing = row(&store, new).await;
        let expected = match i % 3 {
            1 => (CREATED, false, None),
            2 => ("started", true, Some("away")),
            _ => ("started", false, None),
        };
        let found =
            (&*standing.recovery_point, standing.lease_left.is_zero(), standing.last_error.as_deref());
        assert_eq!(found, expected, "{i}");
        let another = Key::new("another", format!("k{i}")).expect("a valid key");
        assert_eq!(store.find(&another).await.unwrap().is_some(), i % 3 == 0);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Right,
    Stale,
    Early,
    Elsewhere,
    Cancelled,
}

impl Kind {
    fn of(i: usize) -> Self {
        match i % 10 {
            2 => Self::Stale,
            5 => Self::Early,
            7 => Self::Elsewhere,
            8 => Self::Cancelled,
            _ => Self::Right,
        }
    }
}

async fn cancelled(store: &impl Store, new: &NewKey) {
    let (scope, value, workflow) = (&*new.scope, &*new.value, &*new.workflow);
    let answer = response(b"cancelled");
    let cancel = Cancel { scope, value, workflow, points: POINTS, answer: &answer };
    assert!(store.cancel(cancel).await.expect("cancel"));
}

/// Keys of their own, and when each was made.
async fn planted_many(store: &impl Store, keys: usize) -> Vec<(NewKey, DateTime<Utc>)> {
    let inserts = (0..keys).map(|i| {
        let (store, new) = (store.clone(), new_key("tenant", &format!("k{i:03}")));
        async move {
            let at = store.insert(&new).await.expect("insert").expect("a new key");
            (new, at)
        }
    });
    let mut planted = at_once(inserts).await;
    planted.sort_by(|(a, _), (b, _)| a.value.cmp(&b.value));
    planted
}

fn numbered(i: usize) -> StoredResponse {
    StoredResponse { code: 200 + i as u16, headers: vec![1; i], body: vec![i as u8; i * 50] }
}

/// Some, empty, or none.
fn reason(i: usize) -> Option<String> {
    match i % 4 {
        0 => None,
        1 => Some(String::new()),
        _ => Some(format!("step {i} failed: '{{NULL,\"☃\\\n")),
    }
}
