//! How much a committer takes up: of a batch, and of all that is under way.

use std::time::Duration;

use tokio::time::timeout;
use workflow::seam::{LARGEST_BATCH, ROOM};

use crate::desk::{self, Asked, begun, opened, write};

/// Longer than any limit of a committer; the clock of these tests is moved, not waited for.
const FOR_EVER: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_row_that_hangs_alone_does_not_take_up_room_for_ever() {
    let (committer, mut clerk) = opened();
    let (first, second) = (begun(&committer, 1), begun(&committer, 2));
    clerk.batch().await.answer(Err(desk::away()));
    let hung = [clerk.alone().await, clerk.alone().await];
    // The runner gives up by its own limit.
    for write in [first, second] {
        let _ = timeout(FOR_EVER, write).await;
    }
    for alone in hung {
        let gone = timeout(FOR_EVER, alone.given_up()).await;
        assert!(gone.is_ok(), "the call goes on for ever, with its connection and its room");
    }
}

#[tokio::test]
async fn no_batch_is_larger_than_the_largest() {
    let (committer, mut clerk) = opened();
    let first = begun(&committer, 0);
    let batch = clerk.batch().await;
    let most = u32::try_from(LARGEST_BATCH).unwrap();
    let writes: Vec<_> = (1..=most + 1).map(|key| begun(&committer, key)).collect();
    batch.commit();
    first.await.unwrap();
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), (1..=most).collect::<Vec<_>>(), "those that came first");
    batch.commit();
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [most + 1]);
    batch.commit();
    for answer in desk::answers(writes).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn no_batch_has_too_many_bytes_but_for_a_single_write() {
    let (committer, mut clerk) = opened();
    let first = begun(&committer, 0);
    let batch = clerk.batch().await;
    let keys = [7_000_002, 7_000_001, 7_000_003, 20_000_000, 1];
    let writes: Vec<_> = keys.map(|key| begun(&committer, key)).into();
    batch.commit();
    first.await.unwrap();
    for expected in [&[7_000_001, 7_000_002][..], &[7_000_003], &[20_000_000], &[1]] {
        let batch = clerk.batch().await;
        assert_eq!(batch.keys(), expected);
        batch.commit();
    }
    for answer in desk::answers(writes).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn where_there_is_no_room_the_next_write_waits_for_it() {
    let (committer, mut clerk) = opened();
    let all = u32::try_from(ROOM).unwrap() + 10;
    let writes: Vec<_> = (1..=all).map(|key| tokio::spawn(write(&committer, key))).collect();
    let mut written = Vec::new();
    while written.len() < writes.len() {
        let batch = clerk.batch().await;
        // Whoever can get in has got in.
        desk::settled().await;
        let held = batch.keys().len() + desk::waiting(&committer);
        assert_eq!(held, ROOM.min(writes.len() - written.len()), "waiting or in a batch");
        assert!(batch.keys().len() <= LARGEST_BATCH);
        written.extend(batch.keys());
        batch.commit();
    }
    written.sort();
    assert_eq!(written, (1..=all).collect::<Vec<_>>(), "each once");
    for write in writes {
        write.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_tried_row_by_row_takes_up_room() {
    let (committer, mut clerk) = opened();
    let all = u32::try_from(ROOM).unwrap();
    let writes: Vec<_> = (1..=all).map(|key| tokio::spawn(write(&committer, key))).collect();
    let (mut alone, mut batches) = (Vec::new(), 0);
    while alone.len() < writes.len() {
        match clerk.asked().await {
            Asked::Together(batch) => {
                batches += 1;
                batch.answer(Err(desk::away()));
            }
            Asked::Alone(one) => alone.push(one),
        }
    }
    assert!(batches >= ROOM / LARGEST_BATCH);
    let mut next = begun(&committer, all + 1);
    assert!(clerk.asks_nothing().await, "there was no room for it");
    alone.pop().unwrap().answer(Ok(1));
    assert!(desk::is_pending(&mut next).await);
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [all + 1]);
    batch.commit();
    next.await.unwrap();
    for one in alone {
        one.answer(Ok(1));
    }
    for write in writes {
        write.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_gives_up_while_waiting_for_room_leaves_nothing() {
    let (committer, mut clerk) = opened();
    let all = u32::try_from(ROOM).unwrap();
    let writes: Vec<_> = (1..=all).map(|key| tokio::spawn(write(&committer, key))).collect();
    let batch = clerk.batch().await;
    desk::settled().await;
    drop(begun(&committer, all + 1));
    let mut written = batch.keys();
    batch.commit();
    while written.len() < writes.len() {
        let batch = clerk.batch().await;
        written.extend(batch.keys());
        batch.commit();
    }
    assert!(!written.contains(&(all + 1)));
    assert!(clerk.asks_nothing().await);
    // Its place is not lost.
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let last = begun(&committer, 0);
    clerk.batch().await.commit();
    last.await.unwrap();
}
