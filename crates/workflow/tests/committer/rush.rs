//! Many tasks on several threads, some of which give up: the leader changes hands all the time.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use workflow::StoreError;
use workflow::seam::{Batch, Committer, LARGEST_BATCH};

const WRITES: u32 = 20_000;

/// Writes at once, and remembers how often. Every batch with a multiple of a thousand in it is refused.
#[derive(Default)]
struct Book {
    written: Mutex<HashMap<u32, usize>>,
    under_way: AtomicUsize,
    batches: AtomicUsize,
}

struct Reader(std::sync::Arc<Book>);

impl Book {
    fn write(&self, key: u32) -> Result<u32, StoreError> {
        *self.written.lock().unwrap().entry(key).or_default() += 1;
        Ok(key)
    }
}

impl Batch for Reader {
    type Write = u32;
    type Answer = u32;

    fn order(a: &u32, b: &u32) -> Ordering {
        a.cmp(b)
    }

    fn bytes(_: &u32) -> usize {
        0
    }

    async fn together(&self, writes: &[u32]) -> Result<Vec<Result<u32, StoreError>>, StoreError> {
        assert!(self.0.under_way.fetch_add(1, SeqCst) < 2, "more than a batch and one who writes alone");
        assert!((1..=LARGEST_BATCH).contains(&writes.len()) && writes.is_sorted());
        self.0.batches.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        self.0.under_way.fetch_sub(1, SeqCst);
        if writes.iter().any(|key| key % 1000 == 0) {
            return Err(StoreError::Refused { doing: "writing", source: "a multiple of a thousand".into() });
        }
        Ok(writes.iter().map(|key| self.0.write(*key)).collect())
    }

    async fn alone(&self, write: &u32) -> Result<u32, StoreError> {
        match write % 1000 {
            0 => Err(StoreError::LeaseLost),
            _ => self.0.write(*write),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_rush_each_write_is_answered_for_itself_and_written_once() {
    let book = std::sync::Arc::new(Book::default());
    let committer = Committer::new(Reader(book.clone()));
    let writes: Vec<_> = (1..=WRITES)
        .map(|key| {
            let committer = committer.clone();
            tokio::spawn(async move {
                match key % 7 {
                    // Gives up as soon as it has to wait.
                    0 => tokio::time::timeout(Duration::ZERO, committer.write(key)).await.ok(),
                    _ => Some(committer.write(key).await),
                }
            })
        })
        .collect();
    let mut answered = HashMap::new();
    for (key, write) in (1..).zip(writes) {
        match write.await.unwrap() {
            Some(Ok(answer)) => assert_eq!(answer, key, "another's answer"),
            Some(Err(StoreError::LeaseLost)) if key % 1000 == 0 => continue,
            Some(Err(error)) => panic!("{key}: {error:?}"),
            None => continue,
        }
        answered.insert(key, ());
    }
    let written = book.written.lock().unwrap();
    assert!(written.values().all(|times| *times == 1), "written twice");
    assert!(answered.keys().all(|key| written.contains_key(key)), "answered, but not written");
    assert!((1..=WRITES).all(|key| key % 7 == 0 || key % 1000 == 0 || answered.contains_key(&key)));
    let batches = book.batches.load(SeqCst);
    assert!(batches < WRITES as usize / 2, "{batches} batches: hardly any write was written together");
}
