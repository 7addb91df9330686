//! `checkout cancel`.

use std::io::Write;
use std::time::Duration;

use checkout::{
    AnyStore, Calls, Cancelled, Database, Failure, Migration, Running, Secret, ShopStore, print_json,
};
use clap::Args;
use workflow::Key;

#[derive(Args)]
pub(crate) struct Cancel {
    /// The idempotency key of the checkout
    key: String,
    /// Whose key it is
    #[arg(long)]
    tenant: String,
    /// How long a run that has the key is waited for, in milliseconds
    #[arg(long, env = "CHECKOUT_PATIENCE_MS", default_value_t = 5000)]
    patience_ms: u64,
    /// Print the outcome as one JSON object
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

impl Cancel {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match AnyStore::open(&self.database, &self.migration).await? {
            AnyStore::Sqlite(store) => self.at(store).await,
            AnyStore::Postgres(store) => self.at(store).await,
        }
    }

    async fn at<S: ShopStore>(self, store: S) -> Result<(), Failure> {
        let keys = checkout::secret_keys(&store, &self.database, &self.secret).await?;
        let shop = checkout::shop(&self.database, &self.calls, self.running.stock)?;
        let runner = checkout::runner(store, &keys, &self.running, shop)?;
        let key = Key::new(self.tenant, self.key)?;
        let cancelled = checkout::cancel(&runner, &key, Duration::from_millis(self.patience_ms)).await?;
        match self.json {
            true => print_json(&cancelled)?,
            false => report(&cancelled)?,
        }
        match cancelled {
            Cancelled::Cancelled { .. } => Ok(()),
            other => Err(Failure::NotCancelled(other)),
        }
    }
}

fn report(cancelled: &Cancelled) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    match cancelled {
        Cancelled::Cancelled { response_code, .. } => {
            writeln!(out, "cancelled: what it had reached is undone, and {response_code} is its answer")
        }
        Cancelled::TooLate { recovery_point } => writeln!(out, "too-late: it stands at {recovery_point}"),
        Cancelled::InProgress => writeln!(out, "in-progress: a run has it, and undoes it when its step ends"),
    }
}
