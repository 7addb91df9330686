//! Waiting for a run that somebody else has: many duplicates on one poll.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use workflow::{Key, Runner, Store};

/// Between two looks; doubles up to the longest.
const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(500);

/// The keys that are waited for.
#[derive(Debug)]
pub(crate) struct Waiting {
    polls: Mutex<HashMap<Key, watch::Receiver<bool>>>,
    places: Semaphore,
}

impl Waiting {
    pub(crate) fn new(most: usize) -> Self {
        Self { polls: Mutex::default(), places: Semaphore::new(most.min(Semaphore::MAX_PERMITS)) }
    }

    /// Returns when no run has this key any more, or the time is over: whether it is free. At once if too many wait already.
    pub(crate) async fn until_free<S, A>(
        self: &Arc<Self>,
        runner: &Runner<S, A>,
        key: &Key,
        wait: Duration,
    ) -> bool
    where
        S: Store,
        A: Send + Sync + 'static,
    {
        let Some(_place) = self.places.try_acquire().ok().filter(|_| !wait.is_zero()) else { return false };
        let mut free = self.poll(runner, key);
        tokio::time::timeout(wait, free.wait_for(|free| *free)).await.is_ok_and(|free| free.is_ok())
    }

    /// The poll of this key: the one that is there, or a new one.
    fn poll<S, A>(self: &Arc<Self>, runner: &Runner<S, A>, key: &Key) -> watch::Receiver<bool>
    where
        S: Store,
        A: Send + Sync + 'static,
    {
        let mut polls = self.polls();
        if let Some(poll) = polls.get(key) {
            return poll.clone();
        }
        let (free, poll) = watch::channel(false);
        polls.insert(key.clone(), poll.clone());
        let (waiting, runner, key) = (self.clone(), runner.clone(), key.clone());
        tokio::spawn(async move {
            let mut pause = FIRST;
            // One receiver is the map's.
            while free.receiver_count() > 1 && is_taken(&runner, &key).await {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
            waiting.polls().remove(&key);
            free.send_replace(true);
        });
        poll
    }

    fn polls(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<bool>>> {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store that fails says nothing of the key: it is asked again.
async fn is_taken<S: Store, A: Send + Sync + 'static>(runner: &Runner<S, A>, key: &Key) -> bool {
    match runner.status(key).await {
        Ok(Some(status)) => status.leased,
        Ok(None) => false,
        Err(_) => true,
    }
}
