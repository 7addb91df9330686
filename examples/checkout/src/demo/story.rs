//! The whole demo, in order.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use workflow::Runner;
use workflow_sqlite::Sqlite;

use super::answers::Answers;
use super::child::{TENANT, opened};
use super::directory::{Directory, database, running};
use super::first;
use super::say::Say;
use super::totals::Totals;
use crate::failure::Failure;
use crate::figures::{grouped, print_json};
use crate::import::{Import, PATIENCE, Summary};
use crate::open;
use crate::progress::Progress;
use crate::purchase::{self, Purchase};
use crate::settings::Secret;
use crate::shop::Shop;

/// A demo that was killed leaves keys that the next one waits for so long.
const LEASE_MS: u64 = 5_000;
/// How many purchases are under way at once.
const CONCURRENCY: usize = 16;

/// What the demo has done: the last line with `--json`.
#[derive(Debug, Serialize)]
struct Report {
    purchases: i64,
    orders: i64,
    charges: i64,
    refunds: i64,
    amount_cents: i64,
    steps_run: usize,
    steps_skipped: usize,
    replayed: usize,
    identical_replays: usize,
    killed_at: Option<String>,
    seconds: f64,
}

/// What was counted on the way.
#[derive(Default)]
struct Counted {
    steps_run: usize,
    steps_skipped: usize,
    replayed: usize,
}

/// Runs the demo in a directory: to the end, or on from where an earlier one stopped.
///
/// # Errors
/// [`Failure`], and [`Failure::Disagree`] if file, orders and ledger do not agree.
pub async fn run(directory: Option<PathBuf>, json: bool, limit: Option<usize>) -> Result<(), Failure> {
    let started = Instant::now();
    let say = Say { aside: json };
    let purchases = purchases(limit)?;
    let directory = Directory::open(directory)?;
    introduce(&directory, &purchases, say);
    let database = database(directory.path())?;
    let (store, shop) = opened(&database, "demo").await?;
    let keys = open::secret_keys(&store, &database, &Secret::default()).await?;
    let runner = open::runner(store, &keys, &running(LEASE_MS), shop)?;
    let mut answers = Answers::open(directory.answers())?;
    let mut counted = Counted::default();
    let killed_at = place_first(&runner, &purchases, &directory, &mut answers, &mut counted, say).await?;
    place_others(runner.clone(), &purchases, &mut answers, &mut counted, say).await?;
    let totals = Totals::read(&purchases, runner.store(), &directory.ledger()).await?;
    prove(&totals, &answers, &counted, say)?;
    match json {
        true => print_json(&Report::of(&totals, &answers, &counted, killed_at, started)),
        false => Ok(()),
    }
}

/// The purchases of the embedded file.
pub(super) fn purchases(limit: Option<usize>) -> Result<Vec<Purchase>, Failure> {
    let failed = |source| Failure::Purchases { path: "data/cdnow_sample.txt".into(), source };
    let mut purchases = purchase::read(crate::CDNOW).map_err(failed)?;
    purchases.truncate(limit.unwrap_or(usize::MAX).max(1));
    Ok(purchases)
}

fn introduce(directory: &Directory, purchases: &[Purchase], say: Say) {
    say.title("checkout demo: never charge twice, never lose a paid order");
    say.line("");
    say.fact("directory", directory.path().display());
    say.fact("purchases", format!("{} of an online shop, CDNOW 1997-98", grouped(purchases.len())));
}

async fn place_first(
    runner: &Runner<Sqlite, Shop>,
    purchases: &[Purchase],
    directory: &Directory,
    answers: &mut Answers,
    counted: &mut Counted,
    say: Say,
) -> Result<Option<String>, Failure> {
    let Some(purchase) = purchases.first() else { return Ok(None) };
    let key = purchase.key(TENANT)?;
    let killed_at = first::killed_at(runner, &key, purchase, directory.path(), say).await?;
    let answered = first::resumed(runner, &key, purchase, say).await?;
    answers.take(&key, &answered)?;
    counted.steps_run += answered.ran().len();
    counted.steps_skipped += answered.skipped().len();
    counted.replayed += usize::from(answered.replayed());
    if !answered.replayed() {
        let again = first::replayed(runner, &key, purchase, &directory.ledger(), &answered, say).await?;
        answers.take(&key, &again)?;
        counted.replayed += 1;
    }
    Ok(killed_at)
}

async fn place_others(
    runner: Runner<Sqlite, Shop>,
    purchases: &[Purchase],
    answers: &mut Answers,
    counted: &mut Counted,
    say: Say,
) -> Result<(), Failure> {
    let others = purchases.get(1..).unwrap_or_default();
    say.chapter("All the other purchases");
    let lease = running(LEASE_MS).lease();
    let import =
        Import { runner, tenant: TENANT.to_owned(), concurrency: CONCURRENCY, lease, patience: PATIENCE };
    let mut progress = Progress::new(others.len(), "purchases");
    let mut written = Ok(());
    let summary = import
        .run(others, |purchase, answered| {
            progress.step();
            if written.is_ok() {
                written =
                    purchase.key(TENANT).map_err(Failure::from).and_then(|key| answers.take(&key, answered));
            }
        })
        .await;
    drop(progress);
    written?;
    summary.all_answered()?;
    counted.add(&summary);
    say.fact("executed", grouped(summary.answered - summary.replayed));
    say.fact("replayed", grouped(summary.replayed));
    say.fact("took", format!("{:.1} s", summary.seconds));
    Ok(())
}

impl Counted {
    fn add(&mut self, summary: &Summary) {
        self.steps_run += summary.steps_run;
        self.steps_skipped += summary.steps_skipped;
        self.replayed += summary.replayed;
    }
}

/// Fails unless file, orders and ledger agree, and nothing was answered anew.
fn prove(totals: &Totals, answers: &Answers, counted: &Counted, say: Say) -> Result<(), Failure> {
    say.chapter("The sums, read again from three places");
    totals.show(say);
    totals.agree()?;
    if let Some(key) = answers.broken.first() {
        let count = answers.broken.len();
        let why = format!("{count} keys were answered anew or otherwise, the first is {key}");
        return Err(Failure::Disagree(why));
    }
    say.good("they agree");
    if counted.replayed > 0 {
        let (same, all) = (answers.identical, counted.replayed);
        say.line(&format!("  {same} of {all} replays compared with the first answer: the same bytes"));
    }
    say.line("");
    say.line("  Run it again: nothing is executed, everything is replayed.");
    Ok(())
}

impl Report {
    fn of(
        totals: &Totals,
        answers: &Answers,
        counted: &Counted,
        killed_at: Option<String>,
        started: Instant,
    ) -> Self {
        Self {
            purchases: totals.file.count,
            orders: totals.orders.count,
            charges: totals.charges.count,
            refunds: totals.refunds,
            amount_cents: totals.orders.cents,
            steps_run: counted.steps_run,
            steps_skipped: counted.steps_skipped,
            replayed: counted.replayed,
            identical_replays: answers.identical,
            killed_at,
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}
