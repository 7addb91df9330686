//! How a shop is opened: the store of the URL, the secret keys, the outside, the runner.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use sqlx::sqlite::SqliteConnectOptions;
use workflow::Runner;
use workflow_metrics::Metrics;
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::failure::Failure;
use crate::gateway::{BuiltIn, Gateway, HttpGateway};
use crate::ledger::Ledger;
use crate::secret::{SecretError, SecretKeys};
use crate::settings::{Calls, Database, Migration, Running, Secret};
use crate::shop::{Shop, ShopSql, ShopStore};
use crate::steps::checkout;
use crate::warehouse::Warehouse;

/// The store of a URL.
pub enum AnyStore {
    /// In a file.
    Sqlite(Sqlite),
    /// In a server.
    Postgres(Postgres),
}

impl AnyStore {
    /// Opens the store of this URL, and brings its tables up to date or checks that they are.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(database: &Database, migration: &Migration) -> Result<Self, Failure> {
        let store = match is_postgres(&database.database_url) {
            true => Self::Postgres(postgres(database).await?),
            false => Self::Sqlite(sqlite(database).await?),
        };
        match &store {
            Self::Sqlite(store) => prepare(store, migration).await?,
            Self::Postgres(store) => prepare(store, migration).await?,
        }
        Ok(store)
    }
}

async fn sqlite(database: &Database) -> Result<Sqlite, Failure> {
    sqlite_file(&database.database_url)?;
    let options = workflow_sqlite::Options::default().pool_size(database.pool);
    let options = options.on_commit(Metrics::new().on_commit());
    Ok(Sqlite::connect(&database.database_url, options).await?)
}

async fn postgres(database: &Database) -> Result<Postgres, Failure> {
    let options = workflow_postgres::Options::default().pool_size(database.pool);
    let options = options.on_commit(Metrics::new().on_commit());
    Ok(Postgres::connect(&database.database_url, options).await?)
}

async fn prepare<S: ShopStore>(store: &S, migration: &Migration) -> Result<(), Failure> {
    match migration.no_migrate {
        true => store.verify_all().await?,
        false => store.migrate_all().await?,
    }
    Ok(())
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The file of an SQLite URL.
///
/// # Errors
/// [`Failure::Usage`] if there is none.
pub fn sqlite_file(url: &str) -> Result<PathBuf, Failure> {
    let usage = |why: &str| Failure::Usage(format!("{why}: give sqlite://FILE or postgres://…"));
    if !url.starts_with("sqlite:") {
        return Err(usage("the database URL is neither of SQLite nor of PostgreSQL"));
    }
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(usage("a database in memory forgets what it has charged"));
    }
    let options =
        SqliteConnectOptions::from_str(url).map_err(|e| usage(&format!("the database URL: {e}")))?;
    Ok(options.get_filename().to_owned())
}

/// A path beside this file: its name with something after it.
pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The secret keys: as they were given, else those of the file beside the database.
///
/// # Errors
/// [`SecretError`] if there are none, or the file is missing though there are rows that only it can open.
pub async fn secret_keys<S: ShopStore>(
    store: &S,
    database: &Database,
    secret: &Secret,
) -> Result<SecretKeys, Failure> {
    if let Some(keys) = &secret.secret_key {
        return Ok(keys.parse()?);
    }
    if is_postgres(&database.database_url) {
        return Err(SecretError::NotGiven.into());
    }
    let path = beside(&sqlite_file(&database.database_url)?, ".key");
    if let Some(keys) = SecretKeys::read(&path)? {
        return Ok(keys);
    }
    let has_keys = store.reader().await?.has_keys().await?;
    // Another process may have made the file, and rows, since we looked.
    match SecretKeys::read(&path)? {
        Some(keys) => Ok(keys),
        None if has_keys => Err(SecretError::Missing { path }.into()),
        None => Ok(SecretKeys::read_or_create(&path)?),
    }
}

/// The shop with its gateway and its warehouse.
///
/// # Errors
/// [`Failure`].
pub fn shop(database: &Database, calls: &Calls, opening_stock: i64) -> Result<Shop, Failure> {
    let client = Client::builder().timeout(Duration::from_millis(calls.step_timeout_ms)).build()?;
    let gateway: Arc<dyn Gateway> = match &calls.gateway_url {
        Some(url) => Arc::new(HttpGateway::new(&client, url)),
        None => Arc::new(BuiltIn::new(Ledger::open(ledger_file(database, calls)?)?)),
    };
    let warehouse = Warehouse::at(&client, calls.sink_url.as_ref());
    Ok(Shop { gateway, warehouse, opening_stock, node: node(calls.node_id.as_deref())?.into() })
}

pub(crate) fn ledger_file(database: &Database, calls: &Calls) -> Result<PathBuf, Failure> {
    match &calls.ledger {
        Some(ledger) => Ok(ledger.clone()),
        None if is_postgres(&database.database_url) => Err(Failure::Usage(
            "with PostgreSQL the built-in gateway's ledger must be given: --ledger or CHECKOUT_LEDGER"
                .to_owned(),
        )),
        None => Ok(beside(&sqlite_file(&database.database_url)?, ".ledger.ndjson")),
    }
}

/// It goes into a header.
fn node(given: Option<&str>) -> Result<String, Failure> {
    let node = given.map_or_else(own_name, str::to_owned);
    match (1..=255).contains(&node.len()) && node.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(node),
        false => Err(Failure::Usage("--node-id is 1 to 255 visible ASCII characters".to_owned())),
    }
}

fn own_name() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host: String = host.to_string_lossy().chars().filter(char::is_ascii_graphic).take(200).collect();
    format!("{host}:{}", std::process::id())
}

/// The runner of the workflow `checkout`. What it does is counted where a recorder of metrics is installed.
///
/// # Errors
/// [`Failure`] if the settings do not fit together.
pub fn runner<S: ShopStore>(
    store: S,
    keys: &SecretKeys,
    running: &Running,
    shop: Shop,
) -> Result<Runner<S, Shop>, Failure> {
    let runner = Runner::builder(store, shop)
        .with(checkout)
        .observer(Metrics::new())
        .namespace(&running.namespace)
        .codec(keys.codec()?)
        .digest_secret(keys.digest_secret())
        .lease(running.lease())
        .retention(Duration::from_millis(running.retention_ms));
    let runner = match running.heartbeat_ms {
        Some(every) => runner.heartbeat(Duration::from_millis(every)),
        None => runner,
    };
    Ok(runner.build()?)
}
