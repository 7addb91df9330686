//! What becomes a batch, and what each write of it is told.

use tokio::time::Instant;
use workflow::StoreError;

use crate::desk::{self, begun, opened};

#[tokio::test(start_paused = true)]
async fn a_write_alone_is_a_batch_of_one_and_at_once() {
    let (committer, mut clerk) = opened();
    let began = Instant::now();
    let write = begun(&committer, 1);
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [1]);
    assert_eq!(Instant::now(), began, "nothing is waited for");
    batch.commit();
    assert_eq!(write.await.unwrap(), 10);
}

#[tokio::test]
async fn a_write_is_not_answered_before_its_commit_has_returned() {
    let (committer, mut clerk) = opened();
    let mut writes: Vec<_> = (1..=3).map(|key| begun(&committer, key)).collect();
    let batch = clerk.batch().await;
    for write in &mut writes {
        assert!(desk::is_pending(write).await, "answered while its batch was under way");
    }
    batch.commit();
    for (key, write) in (1..).zip(writes) {
        assert_eq!(write.await.unwrap(), key * 10);
    }
}

#[tokio::test]
async fn what_waits_while_a_batch_is_written_is_the_next_batch_in_the_order_of_its_keys() {
    let (committer, mut clerk) = opened();
    let first = begun(&committer, 5);
    let batch = clerk.batch().await;
    let waiting: Vec<_> = [9, 2, 7, 4].map(|key| begun(&committer, key)).into();
    assert!(clerk.asks_nothing().await, "one batch at a time");
    batch.commit();
    assert_eq!(first.await.unwrap(), 50);
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [2, 4, 7, 9], "exactly one batch");
    batch.commit();
    for (key, write) in [9, 2, 7, 4].into_iter().zip(waiting) {
        assert_eq!(write.await.unwrap(), key * 10, "each gets its own answer");
    }
    assert!(clerk.asks_nothing().await);
}

#[tokio::test]
async fn a_row_that_fails_its_guard_fails_alone() {
    let (committer, mut clerk) = opened();
    let writes: Vec<_> = (1..=3).map(|key| begun(&committer, key)).collect();
    clerk.batch().await.answer(Ok(vec![Ok(10), Err(StoreError::LeaseLost), Ok(30)]));
    let [one, two, three] = desk::answers(writes).await.try_into().unwrap();
    assert!(matches!((one, three), (Ok(10), Ok(30))));
    assert!(matches!(two, Err(StoreError::LeaseLost)));
    assert!(clerk.asks_nothing().await, "nothing is tried again");
}

#[tokio::test]
async fn a_batch_that_failed_is_tried_row_by_row_and_each_gets_its_own_answer() {
    for error in [desk::refused as fn() -> StoreError, desk::away] {
        let (committer, mut clerk) = opened();
        let writes: Vec<_> = (1..=3).map(|key| begun(&committer, key)).collect();
        clerk.batch().await.answer(Err(error()));
        for _ in 1..=3 {
            let alone = clerk.alone().await;
            match alone.key {
                1 => alone.answer(Ok(10)),
                2 => alone.answer(Err(desk::refused())),
                _ => alone.answer(Err(StoreError::LeaseLost)),
            }
        }
        let [one, two, three] = desk::answers(writes).await.try_into().unwrap();
        assert!(matches!(one, Ok(10)));
        assert!(matches!(two, Err(StoreError::Refused { .. })));
        assert!(matches!(three, Err(StoreError::LeaseLost)));
        assert!(clerk.asks_nothing().await, "each once");
    }
}

#[tokio::test]
async fn a_row_that_is_blocked_alone_holds_up_nobody() {
    let (committer, mut clerk) = opened();
    let mut writes: Vec<_> = (1..=3).map(|key| begun(&committer, key)).collect();
    clerk.batch().await.answer(Err(desk::away()));
    let (mut blocked, mut others) = (None, Vec::new());
    for _ in 1..=3 {
        match clerk.alone().await {
            alone if alone.key == 2 => blocked = Some(alone),
            alone => others.push(alone),
        }
    }
    for alone in others {
        let answer = alone.key * 10;
        alone.answer(Ok(answer));
    }
    let third = writes.pop().unwrap();
    let second = writes.pop().unwrap();
    assert_eq!(writes.pop().unwrap().await.unwrap(), 10);
    assert_eq!(third.await.unwrap(), 30);
    for key in [4, 5] {
        let write = begun(&committer, key);
        let batch = clerk.batch().await;
        assert_eq!(batch.keys(), [key], "the next batches go on meanwhile");
        batch.commit();
        assert_eq!(write.await.unwrap(), key * 10);
    }
    blocked.unwrap().answer(Ok(20));
    assert_eq!(second.await.unwrap(), 20);
}

#[tokio::test]
async fn a_batch_of_one_that_was_refused_is_not_asked_again() {
    let (committer, mut clerk) = opened();
    let write = begun(&committer, 1);
    clerk.batch().await.answer(Err(desk::refused()));
    assert!(matches!(write.await, Err(StoreError::Refused { .. })));
    assert!(clerk.asks_nothing().await);
}

#[tokio::test]
async fn a_batch_of_one_that_found_the_database_away_is_tried_on_another_connection() {
    let (committer, mut clerk) = opened();
    let write = begun(&committer, 1);
    clerk.batch().await.answer(Err(desk::away()));
    clerk.alone().await.answer(Ok(10));
    assert_eq!(write.await.unwrap(), 10);
}

#[tokio::test]
async fn in_doubt_each_write_is_told_so_and_none_is_tried_again() {
    let (committer, mut clerk) = opened();
    let writes: Vec<_> = (1..=3).map(|key| begun(&committer, key)).collect();
    clerk.batch().await.answer(Err(desk::in_doubt()));
    for answer in desk::answers(writes).await {
        match answer {
            Err(StoreError::InDoubt { doing, source }) => {
                assert_eq!((doing, source.to_string().as_str()), ("committing", "the wire broke"));
            }
            answer => panic!("not in doubt: {answer:?}"),
        }
    }
    assert!(clerk.asks_nothing().await, "whoever wrote it settles that");
    let next = begun(&committer, 4);
    clerk.batch().await.commit();
    assert_eq!(next.await.unwrap(), 40);
}
