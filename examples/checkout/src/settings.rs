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

/// HTTP.
#[derive(Debug, Clone, Args)]
pub struct Serving {
    /// The address to listen on; port 0 lets the system choose
    #[arg(long, env = "CHECKOUT_LISTEN", default_value = "127.0.0.1:3000", overrides_with = "listen")]
    pub listen: String,
    /// How long a request waits for its run, which goes on after that, in milliseconds
    #[arg(long, env = "CHECKOUT_PATIENCE_MS", default_value_t = 5000)]
    pub patience_ms: u64,
    /// The longest body of a request, in bytes
    #[arg(long, env = "CHECKOUT_BODY_LIMIT", default_value_t = 1 << 20)]
    pub body_limit: usize,
    /// How long a database that is away is waited for at the start, in milliseconds
    #[arg(long, env = "CHECKOUT_START_TIMEOUT_MS", default_value_t = 60_000)]
    pub start_timeout_ms: u64,
    /// Give the page a button that kills this server, and start it again when it was killed. Whoever reaches the page
    /// can press it. A lease of the default length is shortened to 2 seconds, and the built-in gateway takes its time
    #[arg(long)]
    pub crash_button: bool,
    /// How long the built-in gateway takes to tell what it has charged, in milliseconds [default: 0; with
    /// --crash-button 1500]
    #[arg(long)]
    pub gateway_delay_ms: Option<u64>,
}

impl Serving {
    /// How long the built-in gateway takes to answer.
    pub(crate) fn gateway_delay(&self) -> Duration {
        let watched = if self.crash_button { WATCHED_DELAY_MS } else { 0 };
        Duration::from_millis(self.gateway_delay_ms.unwrap_or(watched))
    }
}

/// How keys are run.
#[derive(Debug, Clone, Args)]
pub struct Running {
    /// Part of every effect key; never change it while keys are under way
    #[arg(long, env = "CHECKOUT_NAMESPACE", default_value = "checkout")]
    pub namespace: String,
    /// How long a claim holds without a heartbeat, in milliseconds
    #[arg(long, env = "CHECKOUT_LEASE_MS", default_value_t = LEASE_MS)]
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

/// How long a claim holds, if nobody says otherwise.
const LEASE_MS: u64 = 30_000;
/// The same where a crash is to be watched.
const WATCHED_LEASE_MS: u64 = 2_000;

/// How long the gateway takes there.
const WATCHED_DELAY_MS: u64 = 1_500;

/// The opening stock of an article, if nobody says otherwise.
pub(crate) const OPENING_STOCK: i64 = 1_000_000;

impl Running {
    /// The lease.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// With a lease that a person waits for who watches a crash, unless another one was given.
    #[must_use]
    pub fn watched(mut self) -> Self {
        if self.lease_ms == LEASE_MS {
            self.lease_ms = WATCHED_LEASE_MS;
        }
        self
    }
}
