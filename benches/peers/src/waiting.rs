//! How a run is awaited on a system that has no way to await one: its last step says that it is there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::Error;

/// A job that failed on its system would be awaited for ever.
const LONGEST: Duration = Duration::from_secs(60);

/// The orders whose last step is awaited.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashMap<u64, oneshot::Sender<()>>>);

impl Waiting {
    /// From now on, the order's last step is awaited.
    pub fn for_order(&self, order: u64) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(order, sender);
        receiver
    }

    /// Called by the last step.
    pub fn reached(&self, order: u64) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&order) {
            // Who waited has given up.
            let _ = sender.send(());
        }
    }
}

/// Waits for the last step.
///
/// # Errors
/// [`Error::Stuck`].
pub async fn ended(receiver: oneshot::Receiver<()>) -> Result<(), Error> {
    match tokio::time::timeout(LONGEST, receiver).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Error::Stuck(LONGEST.as_secs())),
    }
}
