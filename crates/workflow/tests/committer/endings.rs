//! Who gives up, what panics or hangs, a runtime that shuts down: nobody waits for ever, and the next write is served.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};

use crate::desk::{self, begun, is_in_doubt, opened};

/// Longer than any limit of a committer; the clock of these tests is moved, not waited for.
const FOR_EVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_waiting_write_whose_caller_gave_up_is_never_written() {
    let (committer, mut clerk) = opened();
    let first = begun(&committer, 1);
    let batch = clerk.batch().await;
    let (given_up, kept) = (begun(&committer, 2), begun(&committer, 3));
    drop(given_up);
    batch.commit();
    first.await.unwrap();
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [3]);
    // Where nobody is left, there is no batch at all.
    drop(begun(&committer, 4));
    batch.commit();
    kept.await.unwrap();
    assert!(clerk.asks_nothing().await, "an empty batch");
    let next = begun(&committer, 5);
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [5]);
    batch.commit();
    next.await.unwrap();
}

#[tokio::test]
async fn a_write_in_a_batch_is_written_though_its_caller_gave_up() {
    let (committer, mut clerk) = opened();
    let (given_up, kept) = (begun(&committer, 1), begun(&committer, 2));
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [1, 2]);
    drop(given_up);
    assert!(batch.is_awaited(), "the others' commit goes on");
    batch.commit();
    assert_eq!(kept.await.unwrap(), 20);
}

#[tokio::test]
async fn a_write_whose_caller_gave_up_is_not_tried_alone() {
    let (committer, mut clerk) = opened();
    let (given_up, kept) = (begun(&committer, 1), begun(&committer, 2));
    let batch = clerk.batch().await;
    drop(given_up);
    batch.answer(Err(desk::away()));
    let alone = clerk.alone().await;
    assert_eq!(alone.key, 2);
    alone.answer(Ok(20));
    assert_eq!(kept.await.unwrap(), 20);
    assert!(clerk.asks_nothing().await);
}

#[tokio::test]
async fn a_panic_in_a_batch_leaves_everybody_in_doubt_and_the_next_write_is_served() {
    let (committer, mut clerk) = opened();
    let writes: Vec<_> = (1..=2).map(|key| begun(&committer, key)).collect();
    let batch = clerk.batch().await;
    let waiting = begun(&committer, 3);
    batch.panic();
    for answer in desk::answers(writes).await {
        assert!(is_in_doubt(&answer), "{answer:?}");
    }
    let answer = waiting.await;
    assert!(is_in_doubt(&answer), "who waited for the leader: {answer:?}");
    let next = begun(&committer, 4);
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [4]);
    batch.commit();
    assert_eq!(next.await.unwrap(), 40);
}

#[tokio::test]
async fn a_panic_alone_leaves_that_write_in_doubt() {
    let (committer, mut clerk) = opened();
    let writes: Vec<_> = (1..=2).map(|key| begun(&committer, key)).collect();
    clerk.batch().await.answer(Err(desk::away()));
    for _ in 1..=2 {
        match clerk.alone().await {
            alone if alone.key == 1 => alone.panic(),
            alone => alone.answer(Ok(20)),
        }
    }
    let [one, two] = desk::answers(writes).await.try_into().unwrap();
    assert!(is_in_doubt(&one), "{one:?}");
    assert!(matches!(two, Ok(20)));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_hangs_is_given_up_after_its_limit_and_the_next_goes_on() {
    let (committer, mut clerk) = opened();
    let began = Instant::now();
    let hung = begun(&committer, 1);
    let batch = clerk.batch().await;
    let waiting = begun(&committer, 2);
    let answer = hung.await;
    assert!(is_in_doubt(&answer), "{answer:?}");
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(!batch.is_awaited(), "the call was dropped");
    let batch = clerk.batch().await;
    assert_eq!(batch.keys(), [2]);
    batch.commit();
    assert_eq!(waiting.await.unwrap(), 20);
}

#[test]
fn a_runtime_that_shuts_down_in_the_middle_leaves_everybody_in_doubt_and_the_next_write_is_served() {
    let (committer, mut clerk) = opened();
    let dying = runtime();
    let (batch, writes) = dying.block_on(async {
        let in_the_batch = begun(&committer, 1);
        let batch = clerk.batch().await;
        (batch, vec![in_the_batch, begun(&committer, 2)])
    });
    drop(dying);
    assert!(!batch.is_awaited());
    soon(async {
        for answer in desk::answers(writes).await {
            assert!(is_in_doubt(&answer), "{answer:?}");
        }
        let next = begun(&committer, 3);
        let batch = clerk.batch().await;
        assert_eq!(batch.keys(), [3]);
        batch.commit();
        assert_eq!(next.await.unwrap(), 30);
    });
}

#[test]
fn a_runtime_that_shuts_down_before_its_leader_has_begun_leaves_nobody_waiting() {
    let (committer, mut clerk) = opened();
    let dying = runtime();
    // Nothing else runs between the write and the end.
    let write = {
        let _in_it = dying.enter();
        begun(&committer, 1)
    };
    drop(dying);
    soon(async {
        let answer = write.await;
        assert!(is_in_doubt(&answer), "{answer:?}");
        let next = begun(&committer, 2);
        let batch = clerk.batch().await;
        assert_eq!(batch.keys(), [2]);
        batch.commit();
        assert_eq!(next.await.unwrap(), 20);
    });
}

#[test]
fn a_runtime_that_shuts_down_while_rows_are_tried_alone_leaves_them_in_doubt() {
    let (committer, mut clerk) = opened();
    let dying = runtime();
    let (alone, writes) = dying.block_on(async {
        let writes = vec![begun(&committer, 1), begun(&committer, 2)];
        clerk.batch().await.answer(Err(desk::away()));
        (clerk.alone().await, writes)
    });
    drop(dying);
    soon(async {
        for answer in desk::answers(writes).await {
            assert!(is_in_doubt(&answer), "{answer:?}");
        }
        alone.given_up().await;
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs this on another runtime, whose clock is moved if everything waits.
fn soon(what: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        timeout(FOR_EVER, what).await.expect("somebody waits for a leader that is gone");
    });
}
