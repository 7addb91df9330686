//! Patience with a database that is away: wait and try again, but not for ever.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::StoreError;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses that double.
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

/// Repeats a call that may be repeated even when its reply was lost.
pub(super) async fn patiently<T, F, Fut>(until: Instant, mut call: F) -> Result<T, StoreError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::until(until);
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(error) => backoff.after(error).await?,
        }
    }
}
