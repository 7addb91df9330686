//! `checkout import`.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::time::Duration;

use checkout::{
    AnyStore, Calls, Database, Failure, Migration, PATIENCE_MS, Progress, Purchase, Running, Secret,
    ShopStore, Summary, dollars, grouped, print_json, read_purchases,
};
use clap::Args;

#[derive(Args)]
pub(crate) struct Import {
    /// A purchase file: customer, customer in the sample, date YYYYMMDD, number of CDs, dollars; split on blanks
    file: PathBuf,
    /// How many purchases are under way at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Only the first so many lines
    #[arg(long)]
    limit: Option<usize>,
    /// Whose orders they are: the scope of their keys
    #[arg(long, default_value = "cdnow")]
    tenant: String,
    /// How long a line is tried again while its key does not finish, in milliseconds; then it is named, and the
    /// import ends with 1. A run under way is not cut off
    #[arg(long, default_value_t = PATIENCE_MS)]
    line_patience_ms: u64,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    migration: Migration,
    #[command(flatten)]
    secret: Secret,
    #[command(flatten)]
    calls: Calls,
    #[command(flatten)]
    running: Running,
}

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let purchases = self.purchases()?;
        match AnyStore::open(&self.database, &self.migration).await? {
            AnyStore::Sqlite(store) => self.into(store, &purchases).await,
            AnyStore::Postgres(store) => self.into(store, &purchases).await,
        }
    }

    /// All of the file is checked before anything runs.
    fn purchases(&self) -> Result<Vec<Purchase>, Failure> {
        let failed = |source| Failure::Purchases { path: self.file.clone(), source };
        let file = File::open(&self.file).map_err(|e| failed(e.into()))?;
        let mut purchases = read_purchases(BufReader::new(file)).map_err(failed)?;
        purchases.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(purchases)
    }

    async fn into<S: ShopStore>(self, store: S, purchases: &[Purchase]) -> Result<(), Failure> {
        let keys = checkout::secret_keys(&store, &self.database, &self.secret).await?;
        let shop = checkout::shop(&self.database, &self.calls, self.running.stock)?;
        let import = checkout::Import {
            runner: checkout::runner(store, &keys, &self.running, shop)?,
            tenant: self.tenant,
            concurrency: self.concurrency.into(),
            lease: self.running.lease(),
            patience: Duration::from_millis(self.line_patience_ms),
        };
        let mut progress = Progress::new(purchases.len(), "lines");
        let summary = import.run(purchases, |_, _| progress.step()).await;
        drop(progress);
        match self.json {
            true => print_json(&summary)?,
            false => report(&summary)?,
        }
        Ok(summary.all_answered()?)
    }
}

fn report(summary: &Summary) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    for (what, number) in [
        ("lines", summary.lines),
        ("answered", summary.answered),
        ("  placed", summary.placed),
        ("  refused", summary.refused),
        ("  replayed", summary.replayed),
        ("steps run", summary.steps_run),
        ("steps skipped", summary.steps_skipped),
    ] {
        writeln!(out, "{what:14} {:>14}", grouped(number))?;
    }
    writeln!(out, "{:14} {:>14}", "dollars", dollars(summary.amount_cents))?;
    writeln!(out, "{:14} {:>14.1}", "seconds", summary.seconds)
}
