//! The cancel: asks for it, and waits while a run that has the key undoes it.

use std::time::{Duration, Instant};

use serde::Serialize;
use workflow::{Error, Key, Runner};

use crate::figures::sha256;
use crate::shop::{Shop, ShopStore};
use crate::{Failure, problem};

/// How often a key is looked at that a run has.
const POLL: Duration = Duration::from_millis(100);

/// What came of a cancel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Cancelled {
    /// All that the key had reached is undone, and the answer is stored.
    Cancelled {
        /// The status of the stored answer.
        response_code: u16,
        /// The hash of its body.
        response_sha256: String,
    },
    /// The key has passed its point of no return or has its answer: nothing has changed.
    TooLate {
        /// The point at which it stands.
        recovery_point: String,
    },
    /// The key is cancelled, and a run that has it undoes it when its step ends.
    InProgress,
}

/// Cancels a key, and waits for so long while a run has it.
///
/// # Errors
/// [`Failure::Run`]: the key is unknown, parked, or waits for the gateway; or the store failed.
pub async fn cancel<S: ShopStore>(
    runner: &Runner<S, Shop>,
    key: &Key,
    patience: Duration,
) -> Result<Cancelled, Failure> {
    let until = Instant::now() + patience;
    loop {
        match runner.cancel(key.clone(), Some(problem::cancelled())).await {
            Ok(answered) => {
                let (response_code, response_sha256) = (answered.status(), sha256(answered.body()));
                return Ok(Cancelled::Cancelled { response_code, response_sha256 });
            }
            Err(Error::TooLate { point, .. }) => return Ok(Cancelled::TooLate { recovery_point: point }),
            Err(Error::InProgress { .. }) if Instant::now() < until => tokio::time::sleep(POLL).await,
            Err(Error::InProgress { .. }) => return Ok(Cancelled::InProgress),
            Err(error) => return Err(error.into()),
        }
    }
}
