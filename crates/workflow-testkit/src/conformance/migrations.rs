//! Migrations: a blank database, many processes at once, a second time.

#![expect(missing_docs, reason = "a case's name is the sentence that would stand here")]

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use workflow::Store;

use super::Factory;
use super::fixture::*;

const HANDLES: usize = 16;

pub async fn a_blank_database_is_not_verified<F: Factory>(factory: F) {
    let store = factory.blank().await;
    assert!(factory.verify(&store).await.is_err());
    assert!(factory.verify(&store).await.is_err(), "to verify does not migrate");
}

pub async fn a_migrated_database_is_verified_and_takes_keys<F: Factory>(factory: F) {
    let store = factory.blank().await;
    factory.migrate(&store).await.unwrap();
    factory.verify(&store).await.unwrap();
    planted(&store, "k").await;
}

pub async fn a_second_handle_is_verified_too<F: Factory>(factory: F) {
    let store = factory.blank().await;
    let other = factory.reopen(&store).await;
    assert!(factory.verify(&other).await.is_err());
    factory.migrate(&store).await.unwrap();
    factory.verify(&other).await.unwrap();
    planted(&other, "k").await;
}

pub async fn to_migrate_twice_is_harmless<F: Factory>(factory: F) {
    let store = factory.fresh().await;
    let (new, lease) = planted(&store, "k").await;
    let at = row(&store, &new).await.created_at;
    let mut tx = store.begin().await.unwrap();
    factory.note(&mut *tx, "order").await.unwrap();
    store.advance_in(&mut tx, lease, &[first(b"data", at)], &[job("receipt")]).await.unwrap();
    store.commit(tx).await.unwrap();
    let before = picture(&store, &key_of(&new)).await;
    factory.migrate(&store).await.unwrap();
    factory.migrate(&factory.reopen(&store).await).await.unwrap();
    factory.verify(&store).await.unwrap();
    assert_eq!(picture(&store, &key_of(&new)).await, before);
    assert_eq!(factory.notes(&store).await, ["order"]);
    assert_eq!(factory.staged(&store).await.len(), 1);
}

pub async fn sixteen_handles_migrate_a_blank_database_at_once<F: Factory>(factory: F) {
    let store = factory.blank().await;
    let barrier = Arc::new(Barrier::new(HANDLES));
    let mut tasks = JoinSet::new();
    for _ in 0..HANDLES {
        let (factory, barrier) = (factory.clone(), barrier.clone());
        let handle = factory.reopen(&store).await;
        tasks.spawn(async move {
            barrier.wait().await;
            factory.migrate(&handle).await.unwrap();
            factory.verify(&handle).await.unwrap();
            handle
        });
    }
    for (i, handle) in tasks.join_all().await.iter().enumerate() {
        planted(handle, &format!("k{i}")).await;
    }
    factory.verify(&store).await.unwrap();
    let listed = store.list(&workflow::seam::Filter::default()).await.unwrap();
    assert_eq!(listed.len(), HANDLES);
}
