//! Who finds nothing under way: it writes in its own task, and nobody waits for it.

use workflow::StoreError;

use crate::desk::{self, begun, free};

#[tokio::test]
async fn who_finds_nothing_under_way_writes_at_once_in_its_own_task() {
    let (committer, mut clerk) = free();
    let mut write = begun(&committer, 1);
    // No other task has run yet.
    let batch = clerk.now().expect("the first poll asks the desk");
    assert_eq!(batch.keys(), [1]);
    assert!(desk::is_pending(&mut write).await);
    batch.commit();
    assert_eq!(write.await.unwrap(), 10);
}

#[tokio::test]
async fn nobody_waits_for_who_writes_alone_and_is_not_polled_again() {
    let (committer, mut clerk) = free();
    let never_polled_again = begun(&committer, 1);
    let first = clerk.batch().await;
    let second = begun(&committer, 2);
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [2]);
    batch.commit();
    assert_eq!(second.await.unwrap(), 20);
    first.commit();
    assert_eq!(never_polled_again.await.unwrap(), 10);
}

#[tokio::test]
async fn who_writes_alone_and_gives_up_leaves_its_place_to_the_next() {
    let (committer, mut clerk) = free();
    drop(begun(&committer, 1));
    let given_up = clerk.batch().await;
    assert!(!given_up.is_awaited());
    let write = begun(&committer, 2);
    let batch = clerk.now().expect("it writes alone, too");
    assert_eq!(batch.keys(), [2]);
    batch.commit();
    assert_eq!(write.await.unwrap(), 20);
}

#[tokio::test]
async fn who_writes_alone_and_finds_the_database_away_tries_another_connection() {
    let (committer, mut clerk) = free();
    let write = tokio::spawn(begun(&committer, 1));
    clerk.batch().await.answer(Err(desk::away()));
    clerk.alone().await.answer(Ok(10));
    assert_eq!(write.await.unwrap().unwrap(), 10);
}

#[tokio::test]
async fn who_writes_alone_is_told_a_doubt_or_a_refusal_as_it_is() {
    for said in [desk::in_doubt(), desk::refused()] {
        let (committer, mut clerk) = free();
        let (write, in_doubt) = (begun(&committer, 1), matches!(said, StoreError::InDoubt { .. }));
        clerk.batch().await.answer(Err(said));
        let answer = write.await;
        assert_eq!(desk::is_in_doubt(&answer), in_doubt);
        assert!(in_doubt || matches!(answer, Err(StoreError::Refused { .. })));
        assert!(clerk.asks_nothing().await, "nothing is tried again");
    }
}
