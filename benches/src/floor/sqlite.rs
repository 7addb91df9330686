//! SQLite: one thread writes for all, through rusqlite.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{Plan, Way, fresh_key};
use crate::failure::Failure;
use crate::meter::sqlite::durable;
use crate::orders;

/// The most writes of one commit.
const BATCH: usize = 256;

/// How long a lease is, in microseconds.
const LEASE_US: i64 = 30_000_000;

const CREATE: &str = "
    CREATE TABLE keys (
        id INTEGER PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL, input BLOB NOT NULL,
        recovery_point TEXT NOT NULL, status TEXT NOT NULL, fence INTEGER NOT NULL, lease_expires_at INTEGER,
        wake_at INTEGER, response BLOB, created_at INTEGER NOT NULL, finished_at INTEGER, UNIQUE (scope, key)
    );
    CREATE INDEX keys_unfinished ON keys (status) WHERE finished_at IS NULL;
    CREATE INDEX keys_wake_at ON keys (wake_at) WHERE wake_at IS NOT NULL;
    CREATE TABLE points (
        key_id INTEGER NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, data BLOB, fence INTEGER NOT NULL,
        at INTEGER NOT NULL, PRIMARY KEY (key_id, seq)
    ) WITHOUT ROWID;
";
const CLAIM: &str = "
    INSERT INTO keys (id, scope, key, input, recovery_point, status, fence, lease_expires_at, created_at)
    VALUES (?1, 'bench', ?2, ?3, 'started', 'running', 1, ?4, ?5) ON CONFLICT DO NOTHING";
const ADVANCE: &str = "
    UPDATE keys SET recovery_point = ?3, lease_expires_at = ?4
    WHERE id = ?1 AND fence = 1 AND recovery_point = ?2";
const FINISH: &str = "
    UPDATE keys SET recovery_point = ?3, status = 'finished', response = ?4, finished_at = ?5, lease_expires_at = NULL
    WHERE id = ?1 AND fence = 1 AND recovery_point = ?2";
const RUN: &str = "
    INSERT INTO keys (id, scope, key, input, recovery_point, status, fence, response, created_at, finished_at)
    VALUES (?1, 'bench', ?2, ?3, 'finished', 'finished', 1, ?4, ?5, ?5) ON CONFLICT DO NOTHING";
const POINT: &str = "INSERT INTO points (key_id, seq, name, data, fence, at) VALUES (?1, ?2, ?3, ?4, 1, ?5)";

/// The floor on SQLite.
pub struct Writer {
    writes: mpsc::UnboundedSender<Write>,
    plan: Arc<Plan>,
    way: Way,
    next: AtomicI64,
}

struct Write {
    id: i64,
    what: What,
    done: oneshot::Sender<()>,
}

enum What {
    Claim(String),
    /// The step's number.
    Advance(usize),
    Run(String),
}

impl Writer {
    /// In a new file.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn open(path: &Path, plan: Arc<Plan>, way: Way) -> Result<Self, Failure> {
        let mut conn = Connection::open(path)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        durable(&conn)?;
        conn.execute_batch(CREATE)?;
        conn.execute_batch(orders::CREATE_SQLITE)?;
        let (writes, mut queue) = mpsc::unbounded_channel();
        let thread_plan = plan.clone();
        thread::Builder::new().name("floor".to_owned()).spawn(move || {
            let most = if way == Way::Group { BATCH } else { 1 };
            let mut batch = Vec::with_capacity(most);
            while queue.blocking_recv_many(&mut batch, most) > 0 {
                if let Err(error) = commit(&mut conn, &mut batch, &thread_plan) {
                    anstream::eprintln!("error: the floor's committer: {error:?}");
                    return;
                }
            }
        })?;
        Ok(Self { writes, plan, way, next: AtomicI64::new(1) })
    }

    /// A run.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn once(&self) -> Result<(), Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        if self.way == Way::OneCommit {
            return self.write(id, What::Run(fresh_key())).await;
        }
        self.write(id, What::Claim(fresh_key())).await?;
        for number in 1..=self.plan.steps() {
            self.write(id, What::Advance(number)).await?;
        }
        Ok(())
    }

    async fn write(&self, id: i64, what: What) -> Result<(), Failure> {
        let (done, committed) = oneshot::channel();
        self.writes.send(Write { id, what, done }).map_err(|_| Failure::Committer)?;
        committed.await.map_err(|_| Failure::Committer)
    }
}

fn commit(conn: &mut Connection, batch: &mut Vec<Write>, plan: &Plan) -> Result<(), Failure> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = now_us();
    for write in batch.iter() {
        match &write.what {
            What::Claim(key) => {
                let mut claim = tx.prepare_cached(CLAIM)?;
                held(claim.execute(params![write.id, key, plan.request, now + LEASE_US, now])?)?;
            }
            What::Advance(number) => advance(&tx, write.id, *number, plan, now)?,
            What::Run(key) => run(&tx, write.id, key, plan, now)?,
        }
    }
    tx.commit()?;
    for write in batch.drain(..) {
        // A run that was given up does not wait.
        write.done.send(()).unwrap_or_default();
    }
    Ok(())
}

fn advance(tx: &Transaction<'_>, id: i64, number: usize, plan: &Plan, now: i64) -> Result<(), Failure> {
    let step = plan.step(number);
    let moved = match step.answer {
        Some(answer) => {
            tx.prepare_cached(FINISH)?.execute(params![id, step.from, step.to, answer, now])?
        }
        None => tx.prepare_cached(ADVANCE)?.execute(params![id, step.from, step.to, now + LEASE_US])?,
    };
    held(moved)?;
    beside(tx, id, number, plan, now)
}

fn run(tx: &Transaction<'_>, id: i64, key: &str, plan: &Plan, now: i64) -> Result<(), Failure> {
    held(tx.prepare_cached(RUN)?.execute(params![id, key, plan.request, plan.answer, now])?)?;
    (1..=plan.steps()).try_for_each(|number| beside(tx, id, number, plan, now))
}

/// What a step writes beside the key's row.
fn beside(tx: &Transaction<'_>, id: i64, number: usize, plan: &Plan, now: i64) -> Result<(), Failure> {
    let step = plan.step(number);
    tx.prepare_cached(POINT)?.execute(params![id, step.seq, step.to, step.data, now])?;
    if step.places {
        tx.prepare_cached(orders::INSERT)?.execute(params![id, plan.row])?;
    }
    Ok(())
}

fn held(rows: usize) -> Result<(), Failure> {
    if rows == 1 { Ok(()) } else { Err(Failure::Guard) }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
