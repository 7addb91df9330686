//! Patience with a database that is away: wait and try again, but not for ever.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::StoreError;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses that double, up to a moment that does not move.
pub(super) struct Backoff {
    until: Instant,
    pause: Duration,
}

impl Backoff {
    pub(super) fn until(until: Instant) -> Self {
        Self { until, pause: FIRST }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The error of the last try, if it is none that may pass, or the time is up.
    pub(super) async fn after(&mut self, error: StoreError) -> Result<(), StoreError> {
        if !error.is_transient() || Instant::now() + self.pause >= self.until {
            return Err(error);
        }
        tracing::warn!(error = &error as &dyn std::error::Error, "the store is tried again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST);
        Ok(())
    }
}

/// How long one call of the store may take, and all tries of it together.
///
/// Without the first, a wire that died in silence would hold a run for ever, while its heartbeat, on a connection of
/// its own, kept the key from everybody else.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) call: Duration,
    pub(super) until: Instant,
}

impl Limit {
    /// One call. A future of a store may be dropped at any moment; whether it was done is then in doubt.
    pub(super) async fn once<T>(
        self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(self.call, call).await.unwrap_or_else(|elapsed| {
            Err(StoreError::InDoubt { doing: "waiting for the database", source: elapsed.into() })
        })
    }

    /// Repeats a call that may be repeated even when its reply was lost.
    pub(super) async fn patiently<T, F, Fut>(self, mut call: F) -> Result<T, StoreError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let mut backoff = Backoff::until(self.until);
        loop {
            match self.once(call()).await {
                Ok(value) => return Ok(value),
                Err(error) => backoff.after(error).await?,
            }
        }
    }
}
