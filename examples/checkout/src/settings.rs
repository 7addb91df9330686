//! Settings: flags, and environment variables of the same names.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::Url;

/// The database.
#[derive(Clone, Args)]
pub struct Database {
    /// The shop's database: `sqlite://relative.db`, `sqlite:///absolute/path.db` or `postgres://…`
    #[arg(
        long,
        env = "CHECKOUT_DATABASE_URL",
        default_value = "sqlite://checkout.db",
        hide_env_values = true
    )]
    pub database_url: String,
    /// Database connections
    #[arg(long, env = "CHECKOUT_POOL", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pool: u32,
}

/// Whether a command brings the tables up to date first.
#[derive(Debug, Clone, Default, Args)]
pub struct Migration {
    /// Do not create or upgrade tables; fail if they are not up to date
    #[arg(long)]
    pub no_migrate: bool,
}

/// The secret keys. They are parsed later: a wrong one must not be shown.
#[derive(Clone, Default, Args)]
pub struct Secret {
    /// What seals cards: 64 hex digits; several separated by commas, of which the first seals and the last one
    /// keys the digest [default with SQLite: a random one in a file beside the database]
    #[arg(long, env = "CHECKOUT_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
}

/// Calls to the outside.
#[derive(Clone, Args)]
pub struct Calls {
    /// A payment gateway's base address [default: the built-in gateway]
    #[arg(long, env = "CHECKOUT_GATEWAY_URL", hide_env_values = true)]
    pub gateway_url: Option<Url>,
    /// The built-in gateway's ledger [default: beside the SQLite file; must be given with PostgreSQL]
    #[arg(long, env = "CHECKOUT_LEDGER")]
    pub ledger: Option<PathBuf>,
    /// The base address of who takes /shipments [default: log only]
    #[arg(long, env = "CHECKOUT_SINK_URL", hide_env_values = true)]
    pub sink_url: Option<Url>,
    /// The name under which this process calls, sent as X-Node [default: host name and process id]
    #[arg(long, env = "CHECKOUT_NODE_ID")]
    pub node_id: Option<String>,
    /// How long an outside call may take, in milliseconds
    #[arg(long, env = "CHECKOUT_STEP_TIMEOUT_MS", default_value_t = 10_000)]
    pub step_timeout_ms: u64,
}

/// How keys are run.
#[derive(Debug, Clone, Args)]
pub struct Running {
    /// Part of every effect key; never change it while keys are under way
    #[arg(long, env = "CHECKOUT_NAMESPACE", default_value = "checkout")]
    pub namespace: String,
    /// How long a claim holds without a heartbeat, in milliseconds
    #[arg(long, env = "CHECKOUT_LEASE_MS", default_value_t = 30_000)]
    pub lease_ms: u64,
    /// How often a claim is extended, in milliseconds [default: a third of the lease]
    #[arg(long, env = "CHECKOUT_HEARTBEAT_MS")]
    pub heartbeat_ms: Option<u64>,
    /// How long a finished key is replayed at least, in milliseconds
    #[arg(long, env = "CHECKOUT_RETENTION_MS", default_value_t = 72 * 60 * 60 * 1000)]
    pub retention_ms: u64,
    /// The opening stock of an article that is seen for the first time
    #[arg(long, env = "CHECKOUT_STOCK", default_value_t = OPENING_STOCK,
        value_parser = clap::value_parser!(i64).range(0..))]
    pub stock: i64,
}

/// The opening stock of an article, if nobody says otherwise.
pub(crate) const OPENING_STOCK: i64 = 1_000_000;

impl Running {
    /// The lease.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}
