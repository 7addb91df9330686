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

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use workflow::{Foreign, RecoveryPoint, Response, Step, Workflow};
    use workflow_testkit::{Fault, Faulty, How, Memory, MemoryConn};

    use super::*;

    const WAIT: Duration = Duration::from_secs(5);

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Asked;

    impl RecoveryPoint for Asked {
        const NAME: &'static str = "started";
    }

    async fn hold(cx: Foreign<'_, Semaphore, Asked>, _: Asked) -> Step<Response> {
        cx.app.acquire().await.unwrap().forget();
        Ok(Response::empty(204))
    }

    fn held() -> Workflow<MemoryConn, Semaphore, Asked> {
        Workflow::new("held").foreign("hold", hold).build()
    }

    /// A key whose run is held until its gate is opened.
    async fn taken() -> (Runner<Memory, Semaphore>, Key) {
        let runner = Runner::builder(Memory::new(), Semaphore::new(0)).with(held).build().unwrap();
        let key = Key::fresh("s").unwrap();
        runner.start(held, key.clone(), Asked).await.unwrap();
        (runner, key)
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_wait_for_a_key_share_one_poll_which_ends_with_the_last_of_them() {
        let (runner, key) = taken().await;
        let waiting = Arc::new(Waiting::new(10));
        let (one, other) = (waiting.poll(&runner, &key), waiting.poll(&runner, &key));
        assert!(one.same_channel(&other));
        assert!(!waiting.poll(&runner, &Key::fresh("s").unwrap()).same_channel(&one));
        drop((one, other));
        let ended = async {
            while !waiting.polls().is_empty() {
                tokio::time::sleep(LONGEST).await;
            }
        };
        tokio::time::timeout(LONGEST * 10, ended).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_makes_room_for_another() {
        let (runner, key) = taken().await;
        let waiting = Arc::new(Waiting::new(1));
        for _ in 0..2 {
            let began = Instant::now();
            assert!(!waiting.until_free(&runner, &key, WAIT).await);
            assert!(began.elapsed() >= WAIT, "it has waited");
        }
        runner.app().add_permits(1);
        assert!(waiting.until_free(&runner, &key, WAIT).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_says_nothing_of_the_key() {
        let away = (1..4).map(|at| Fault { at, how: How::Before });
        let store = Faulty::new(Memory::new(), away);
        let runner = Runner::builder(store.clone(), Semaphore::new(0)).with(held).build().unwrap();
        let waiting = Arc::new(Waiting::new(1));
        assert!(waiting.until_free(&runner, &Key::fresh("s").unwrap(), WAIT).await);
        assert_eq!(store.calls(), ["find"; 4], "it was asked until it knew");
    }
}
