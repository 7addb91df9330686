//! The import: one checkout for each purchase of a file, a few at a time.

use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde::Serialize;
use workflow::{Answered, Error, Key, Runner};

use crate::order::Order;
use crate::purchase::Purchase;
use crate::shop::{Shop, ShopStore};
use crate::steps::checkout;

/// How long one line is tried again, if nobody says otherwise: two of the longest pauses between two attempts of a step,
/// so that a restart of database or gateway passes.
pub(crate) const PATIENCE: Duration = Duration::from_millis(PATIENCE_MS);
/// The same in milliseconds.
pub const PATIENCE_MS: u64 = 120_000;
/// Between two tries; doubles up to the second.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a key is looked at that another process holds, or that waits: a person may let it go on earlier.
const POLL: Duration = Duration::from_millis(200);
const WAITING_POLL: Duration = Duration::from_secs(1);
/// How many lines without a response are named.
const NAMED: usize = 20;

/// An import.
pub struct Import<S: ShopStore> {
    /// Runs the workflow.
    pub runner: Runner<S, Shop>,
    /// Whose keys and orders they are.
    pub tenant: String,
    /// How many purchases are under way at once.
    pub concurrency: usize,
    /// The lease: how long a dead process holds a key.
    pub lease: Duration,
    /// How long one line is tried again while the database or the gateway fails.
    pub patience: Duration,
}

/// What came of an import.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// The lines of the file.
    pub lines: usize,
    /// Those with their final response.
    pub answered: usize,
    /// Of these, placed orders.
    pub placed: usize,
    /// Of these, refusals.
    pub refused: usize,
    /// Of these, answered from what was stored before.
    pub replayed: usize,
    /// Steps that this import ran.
    pub steps_run: usize,
    /// Steps that it skipped, since an earlier run had completed them.
    pub steps_skipped: usize,
    /// What the placed orders cost, in cents.
    pub amount_cents: i64,
    /// Lines without a response.
    pub failed: Vec<u32>,
    /// Lines that were not begun, since the import gave up.
    pub not_begun: usize,
    /// How long it took.
    pub seconds: f64,
    #[serde(skip)]
    reasons: Vec<(u32, String)>,
}

/// Lines without a final response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unanswered {
    /// Their numbers and reasons.
    pub failed: Vec<(u32, String)>,
    /// How many were not begun.
    pub not_begun: usize,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines have no final response", self.failed.len() + self.not_begun)?;
        for (line, why) in self.failed.iter().take(NAMED) {
            write!(f, "\n  line {line}: {why}")?;
        }
        if self.failed.len() > NAMED {
            let more: Vec<_> = self.failed[NAMED..].iter().map(|(line, _)| line.to_string()).collect();
            write!(f, "\n  and lines {}", more.join(", "))?;
        }
        if self.not_begun > 0 {
            write!(f, "\n  {} lines were not begun", self.not_begun)?;
        }
        write!(f, "\nrun the same command again: it goes on where this one stopped")
    }
}

/// Why a line has no response.
struct Unfinished {
    why: String,
    /// Whether the next line would fare the same: the database or the gateway is away.
    all_alike: bool,
}

impl<S: ShopStore> Import<S> {
    /// Runs every purchase to its final response; `each` sees them as they come.
    pub async fn run(&self, purchases: &[Purchase], mut each: impl FnMut(&Purchase, &Answered)) -> Summary {
        let (started, given_up) = (Instant::now(), AtomicBool::new(false));
        let mut summary = Summary { lines: purchases.len(), ..Summary::default() };
        let mut done = stream::iter(purchases)
            .take_while(|_| ready(!given_up.load(Ordering::Relaxed)))
            .map(|purchase| async move { (purchase, self.line(purchase).await) })
            .buffer_unordered(self.concurrency.max(1));
        while let Some((purchase, outcome)) = done.next().await {
            match outcome {
                Ok(answered) => {
                    summary.count(purchase, &answered);
                    each(purchase, &answered);
                }
                Err(unfinished) => {
                    given_up.fetch_or(unfinished.all_alike, Ordering::Relaxed);
                    summary.failed.push(purchase.line);
                    summary.reasons.push((purchase.line, unfinished.why));
                }
            }
        }
        summary.close(started)
    }

    async fn line(&self, purchase: &Purchase) -> Result<Answered, Unfinished> {
        let key = purchase.key(&self.tenant).map_err(|error| Unfinished::alone(&error))?;
        self.answered(key, purchase.order()).await
    }

    /// Asks until the key has its final response: waits for who holds it and for its time, tries again what may pass.
    /// A run that is under way is not cut off.
    async fn answered(&self, key: Key, order: Order) -> Result<Answered, Unfinished> {
        let started = Instant::now();
        let mut pause = PAUSE;
        loop {
            let (error, wait, patience) = match self.runner.run(checkout, key.clone(), order.clone()).await {
                Ok(answered) => return Ok(answered),
                // A dead process lets go when its lease has run out; a living one finishes the key for us.
                Err(error @ Error::InProgress { retry_after, .. }) => {
                    (error, retry_after.clamp(PAUSE / 5, POLL), self.patience + self.lease * 2)
                }
                Err(error @ Error::Waiting { retry_after, .. }) => {
                    (error, retry_after.clamp(PAUSE / 5, WAITING_POLL), self.patience)
                }
                Err(error) if may_pass(&error) => (error, pause, self.patience),
                Err(error) => return Err(Unfinished::alone(&error)),
            };
            if started.elapsed() + wait > patience {
                return Err(Unfinished { why: chain(&error), all_alike: may_pass(&error) });
            }
            tracing::debug!(error = chain(&error), "a line is tried again");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn may_pass(error: &Error) -> bool {
    match error {
        Error::Store(error) => error.is_transient(),
        Error::Step { .. } | Error::Waiting { .. } | Error::LeaseLost { .. } | Error::Interrupted => true,
        _ => false,
    }
}

/// An error and its sources, as one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(source) = at {
        let more = source.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        at = source.source();
    }
    text
}

impl Unfinished {
    fn alone(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { why: chain(error), all_alike: false }
    }
}

impl Summary {
    fn count(&mut self, purchase: &Purchase, answered: &Answered) {
        self.answered += 1;
        self.replayed += usize::from(answered.replayed());
        self.steps_run += answered.ran().len();
        self.steps_skipped += answered.skipped().len();
        match answered.status() {
            201 => {
                self.placed += 1;
                self.amount_cents += purchase.cents;
            }
            _ => self.refused += 1,
        }
    }

    fn close(mut self, started: Instant) -> Self {
        self.not_begun = self.lines - self.answered - self.failed.len();
        self.failed.sort_unstable();
        self.reasons.sort_unstable();
        self.seconds = started.elapsed().as_secs_f64();
        self
    }

    /// Fails unless every line has its final response.
    ///
    /// # Errors
    /// [`Unanswered`] names the lines.
    pub fn all_answered(&self) -> Result<(), Unanswered> {
        match self.answered == self.lines {
            true => Ok(()),
            false => Err(Unanswered { failed: self.reasons.clone(), not_begun: self.not_begun }),
        }
    }
}
