//! The stage: the databases of a measurement and the lanes on them. What it has made, it takes away.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::Mutex;
use workflow_postgres::Postgres;
use workflow_sqlite::Sqlite;

use crate::crew::Crew;
use crate::database::{self, Unfit};
use crate::failure::Failure;
use crate::floor::postgres_group::Group;
use crate::floor::postgres_one::One;
use crate::floor::postgres_separate::Separate;
use crate::floor::sqlite::Writer;
use crate::floor::{Floor, Plan, Way, postgres_tables};
use crate::lane::{Doer, Lane};
use crate::meter::{Counter, PostgresMeter, SqliteMeter};
use crate::orders;
use crate::server::{self, Server};
use crate::workload::Workload;

/// How many finished keys are written by one statement.
const FILL: i64 = 100_000;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The work.
    pub workload: Workload,
    /// How many runs at once, in each process.
    pub in_flight: usize,
    /// How many processes.
    pub processes: usize,
    /// How many finished keys are there beforehand.
    pub prefill: i64,
    /// Whether the floors are measured too.
    pub floor: bool,
}

/// The databases.
pub enum Stage {
    /// Files in a temporary folder.
    Sqlite(TempDir),
    /// Databases on the server of `DATABASE_URL`.
    Postgres {
        /// The server.
        server: Box<Server>,
        /// What reads its counters.
        meter: Arc<Mutex<PostgresMeter>>,
    },
}

impl Stage {
    /// A folder for SQLite files.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn sqlite() -> Result<Self, Failure> {
        Ok(Self::Sqlite(tempfile::tempdir()?))
    }

    /// The server of `DATABASE_URL`.
    ///
    /// # Errors
    /// [`Failure`], if it would lose what it has acknowledged too.
    pub async fn postgres() -> Result<Self, Failure> {
        let mut server = Server::connect().await?;
        let meter = match PostgresMeter::open(&mut server).await {
            Ok(meter) => meter,
            Err(error) => {
                server.drop_made().await?;
                return Err(error.into());
            }
        };
        if !meter.counts_statements() {
            anstream::eprintln!(
                "statements are not counted: start the server with -o shared_preload_libraries=pg_stat_statements"
            );
        }
        Ok(Self::Postgres { server: Box::new(server), meter: Arc::new(Mutex::new(meter)) })
    }

    /// The lanes, the product's first.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn lanes(&mut self, setting: Setting) -> Result<Vec<Lane>, Failure> {
        let mut lanes = vec![self.ours(setting).await?];
        let plan = Arc::new(Plan::of(setting.workload)?);
        for way in Way::ALL.into_iter().filter(|_| setting.floor) {
            lanes.push(self.floor(way, plan.clone(), setting).await?);
        }
        if let Self::Postgres { meter, .. } = self {
            meter.lock().await.checkpoint().await?;
        }
        Ok(lanes)
    }

    /// Takes everything away.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn clear(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(folder) => Ok(folder.close()?),
            Self::Postgres { mut server, .. } => Ok(server.drop_made().await?),
        }
    }

    async fn ours(&mut self, setting: Setting) -> Result<Lane, Failure> {
        let Setting { workload, in_flight, processes, prefill, .. } = setting;
        let (url, counter) = match self {
            Self::Sqlite(folder) => {
                let path = folder.path().join("ours.db");
                let url = format!("sqlite://{}", path.display());
                set_up_sqlite(&url, prefill).await?;
                (url, Counter::Sqlite(SqliteMeter::open(&path)?))
            }
            Self::Postgres { server, meter } => {
                let place = server.create("_ours").await?;
                set_up_postgres(&place.url, prefill).await?;
                (place.url, Counter::Postgres { database: place.name, meter: meter.clone() })
            }
        };
        let before = counter.stand().await?;
        let crew = Crew::start(&url, workload, in_flight, processes).await?;
        Ok(Lane::new("ours", Doer::Crew(crew), counter, before))
    }

    async fn floor(&mut self, way: Way, plan: Arc<Plan>, setting: Setting) -> Result<Lane, Failure> {
        let (floor, counter, before) = match self {
            Self::Sqlite(folder) => {
                let path: PathBuf = folder.path().join(format!("{}.db", way.name()));
                let floor = Floor::Sqlite(Arc::new(Writer::open(&path, plan, way)?));
                let counter = Counter::Sqlite(SqliteMeter::open(&path)?);
                let before = counter.stand().await?;
                (floor, counter, before)
            }
            Self::Postgres { server, meter } => {
                let place = server.create(&format!("_{}", way.name())).await?;
                postgres_tables::create(&place).await?;
                let counter = Counter::Postgres { database: place.name.clone(), meter: meter.clone() };
                let before = counter.stand().await?;
                let floor = match way {
                    Way::Separate => Floor::Separate(Arc::new(Separate::open(&place, plan).await?)),
                    Way::Group => Floor::Group(Arc::new(Group::open(&place, plan).await?)),
                    Way::OneCommit => Floor::One(Arc::new(One::open(&place, plan).await?)),
                };
                (floor, counter, before)
            }
        };
        // As many runs at once as the product has in all of its processes.
        let in_flight = setting.in_flight * setting.processes;
        Ok(Lane::new(way.name(), Doer::Floor { floor, in_flight }, counter, before))
    }
}

async fn set_up_sqlite(url: &str, prefill: i64) -> Result<(), Failure> {
    let store = Sqlite::open(url).await?;
    let mut conn = store.pool().acquire().await.map_err(Unfit::from)?;
    for (setting, sql) in [("journal_mode", "PRAGMA journal_mode"), ("synchronous", "PRAGMA synchronous")] {
        let row = sqlx::query(sql).fetch_one(&mut *conn).await?;
        let value = sqlx::Row::try_get::<String, _>(&row, 0)
            .or_else(|_| sqlx::Row::try_get::<i64, _>(&row, 0).map(|n| n.to_string()))?;
        if !["wal", "2", "3"].contains(&value.as_str()) {
            return Err(Unfit::NotDurable { setting, value }.into());
        }
    }
    sqlx::query(orders::CREATE_SQLITE).execute(&mut *conn).await?;
    conn.close().await?;
    for from in (0..prefill).step_by(FILL as usize) {
        database::fill_sqlite(store.pool(), from, prefill.min(from + FILL)).await?;
    }
    database::settle_sqlite(store.pool()).await?;
    store.pool().close().await;
    Ok(())
}

async fn set_up_postgres(url: &str, prefill: i64) -> Result<(), Failure> {
    let store = Postgres::open(url).await?;
    server::durable_pool(store.pool()).await?;
    sqlx::query(orders::CREATE_POSTGRES).execute(store.pool()).await?;
    for from in (0..prefill).step_by(FILL as usize) {
        database::fill_postgres(store.pool(), from, prefill.min(from + FILL)).await?;
    }
    database::settle_postgres(store.pool()).await?;
    store.pool().close().await;
    Ok(())
}
