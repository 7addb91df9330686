//! Who is told how many writes each commit carries.

use std::sync::{Arc, Mutex};

use workflow::StoreError;
use workflow::seam::{Committer, OnCommit};

use crate::desk::{self, Clerk, Desk, Write, begun, telling};

/// A committer, its clerk, a write that goes alone and is under way, and the sizes so far.
fn busy() -> (Committer<Desk>, Clerk, Write, Arc<Mutex<Vec<usize>>>) {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let told = sizes.clone();
    let (committer, clerk) = telling(OnCommit::new(move |writes| told.lock().unwrap().push(writes)));
    let alone = begun(&committer, 1);
    (committer, clerk, alone, sizes)
}

#[tokio::test]
async fn each_commit_tells_how_many_writes_it_carried() {
    let (committer, mut clerk, alone, sizes) = busy();
    clerk.batch().await.commit();
    assert_eq!((alone.await.unwrap(), sizes.lock().unwrap().clone()), (10, vec![1]));

    let alone = begun(&committer, 1);
    let first = clerk.batch().await;
    let writes: Vec<_> = (2..=4).map(|key| begun(&committer, key)).collect();
    // A write whose guards match nothing is carried, too.
    clerk.batch().await.answer(Ok(vec![Ok(20), Err(StoreError::LeaseLost), Ok(40)]));
    assert_eq!(desk::answers(writes).await.len(), 3);
    assert_eq!(*sizes.lock().unwrap(), [1, 3]);
    first.commit();
    alone.await.unwrap();
    assert_eq!(*sizes.lock().unwrap(), [1, 3, 1]);
}

#[tokio::test]
async fn what_was_not_committed_is_not_told() {
    let (committer, mut clerk, _alone, sizes) = busy();
    let _first = clerk.batch().await;
    let writes: Vec<_> = (2..=4).map(|key| begun(&committer, key)).collect();
    clerk.batch().await.answer(Err(desk::refused()));
    for answer in [Ok(20), Err(desk::away()), Ok(40)] {
        clerk.alone().await.answer(answer);
    }
    desk::answers(writes).await;
    assert_eq!(*sizes.lock().unwrap(), [1, 1], "row by row, each is a commit");

    let writes: Vec<_> = (2..=3).map(|key| begun(&committer, key)).collect();
    clerk.batch().await.answer(Ok(vec![Err(desk::away()), Err(desk::away())]));
    desk::answers(writes).await;
    let writes: Vec<_> = (2..=3).map(|key| begun(&committer, key)).collect();
    clerk.batch().await.answer(Err(desk::in_doubt()));
    desk::answers(writes).await;
    assert_eq!(*sizes.lock().unwrap(), [1, 1]);
}

#[tokio::test]
async fn a_panic_in_who_is_told_answers_every_write_all_the_same() {
    let (committer, mut clerk) = telling(OnCommit::new(|_| panic!("planned")));
    let alone = begun(&committer, 1);
    let first = clerk.batch().await;
    for _ in 0..2 {
        let writes: Vec<_> = (2..=3).map(|key| begun(&committer, key)).collect();
        clerk.batch().await.commit();
        assert!(desk::answers(writes).await.iter().all(Result::is_ok));
    }
    first.commit();
    assert_eq!(alone.await.unwrap(), 10);
}
