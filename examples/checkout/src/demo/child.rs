//! The process that is killed: it places the first purchase, and hangs as soon as the charge is on disk.

use std::future::pending;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use workflow_sqlite::Sqlite;

use super::directory::{calls, database, running};
use crate::failure::Failure;
use crate::gateway::{Answer, Charge, Gateway, Verdict};
use crate::import::{Import, PATIENCE};
use crate::open::{self, AnyStore};
use crate::purchase::Purchase;
use crate::settings::{Database, Migration, OPENING_STOCK, Secret};
use crate::shop::Shop;
use crate::stamp::Stamp;

/// Short, since the demo waits for it to run out.
const LEASE_MS: u64 = 1_500;
/// Whose purchases they are.
pub(super) const TENANT: &str = "cdnow";
/// What the child says when the charge is on disk.
pub(super) const CHARGED: &str = "charged ";

/// A gateway whose caller never hears of the charge.
struct Hangs(Arc<dyn Gateway>);

impl Gateway for Hangs {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        Box::pin(async move {
            let verdict = self.0.charge(stamp, charge).await?;
            if let Verdict::Captured { charge_id } = &verdict {
                let mut out = std::io::stdout();
                // It fails where nobody is left to kill this process.
                let _ = writeln!(out, "{CHARGED}{charge_id}").and_then(|()| out.flush());
                orphaned().await;
                std::process::abort();
            }
            pending().await
        })
    }

    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        self.0.refund(stamp, charge_id)
    }
}

/// Returns when the demo is gone: then its end of the pipe is closed. A child that nobody kills would keep the key.
async fn orphaned() {
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await;
}

/// The child's whole life: it ends by SIGKILL, or, if the charge was made before, by itself.
///
/// # Errors
/// [`Failure`].
pub async fn run_child(directory: &Path) -> Result<(), Failure> {
    let first = super::story::purchases(Some(1))?;
    let database = database(directory)?;
    let (store, mut shop) = opened(&database, "demo-child").await?;
    shop.gateway = Arc::new(Hangs(shop.gateway));
    let running = running(LEASE_MS);
    let keys = open::secret_keys(&store, &database, &Secret::default()).await?;
    let import = Import {
        runner: open::runner(store, &keys, &running, shop)?,
        tenant: TENANT.to_owned(),
        concurrency: 1,
        lease: running.lease(),
        patience: PATIENCE,
    };
    Ok(import.run(&first, |_: &Purchase, _| {}).await.all_answered()?)
}

/// The demo's store and shop.
pub(super) async fn opened(database: &Database, node: &str) -> Result<(Sqlite, Shop), Failure> {
    let AnyStore::Sqlite(store) = AnyStore::open(database, &Migration::default()).await? else {
        return Err(Failure::Usage("the demo runs on SQLite".to_owned()));
    };
    Ok((store, open::shop(database, &calls(node), OPENING_STOCK)?))
}
