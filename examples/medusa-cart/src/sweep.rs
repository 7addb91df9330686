//! What a server does besides answering: it goes on with keys that somebody has left, and forgets those that are over.

use std::time::Duration;

use chrono::Utc;
use workflow::seam::{Filter, Status};
use workflow::{Error, KeyStatus, Runner, STARTED};

use crate::app::App;
use crate::store::ShopStore;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(1);
/// Rounds between two forgettings.
const FORGETS: u32 = 600;
/// How many keys are forgotten in one commit.
const PAGE: usize = 500;
/// The longest pause between two attempts at one key, as a power of two of seconds: about four minutes.
const LONGEST: u32 = 8;

/// Sweeps until it is dropped. A round that fails is followed by the next one.
pub async fn sweep<S: ShopStore>(runner: Runner<S, App>) {
    let mut round: u32 = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        round = round.wrapping_add(1);
        if let Err(error) = go_on(&runner).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "abandoned keys could not be looked for"
            );
        }
        if round.is_multiple_of(FORGETS)
            && let Err(error) = forget(&runner).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "old keys could not be forgotten");
        }
    }
}

/// Goes on with every key of a completion that nobody has: how many came to their end.
///
/// # Errors
/// If the keys cannot be listed. A key that fails does not stop the others.
pub async fn go_on<S: ShopStore>(runner: &Runner<S, App>) -> Result<usize, Error> {
    let mut ended = 0;
    for status in [Status::Running, Status::Waiting, Status::Undoing] {
        let workflow = Some("complete_cart".to_owned());
        let mut filter = Filter { status: Some(status), workflow, ..Filter::default() };
        loop {
            let page = runner.list(&filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            for key in page.iter().filter(|key| is_abandoned(key)) {
                match runner.resume(key.key.clone()).await {
                    Ok(_) => ended += 1,
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a key stays"),
                }
            }
        }
    }
    Ok(ended)
}

/// Of a key that stands at its start nothing has happened: whoever wants it asks again. The others are tried with
/// pauses that grow.
fn is_abandoned(key: &KeyStatus) -> bool {
    let pause = 1_i64 << u32::try_from(key.attempts).unwrap_or_default().min(LONGEST);
    let rests = Utc::now().signed_duration_since(key.last_run_at).num_seconds() >= pause;
    key.recovery_point != STARTED && !key.leased && key.wake_left.is_zero() && rests
}

/// Forgets finished keys past their retention: how many.
///
/// # Errors
/// If the database is away or refuses.
pub async fn forget<S: ShopStore>(runner: &Runner<S, App>) -> Result<usize, Error> {
    let mut forgotten = 0;
    loop {
        let reaped = runner.reap(PAGE).await?;
        forgotten += reaped;
        if reaped < PAGE {
            return Ok(forgotten);
        }
    }
}
