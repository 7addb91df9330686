//! PostgreSQL, one committer for all runs: what is queued when a commit returns is the next commit. Nobody waits for a
//! batch to fill.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::postgres_separate::{ADVANCE, ADVANCE_AND_PLACE, CLAIM, FINISH};
use super::postgres_tables::connect;
use super::{Plan, fresh_key};
use crate::failure::Failure;
use crate::server::Place;

/// The most writes of one commit.
const BATCH: usize = 256;

/// A statement over arrays that was prepared while the tables were small would scan them whole for ever after.
const USE_INDEXES: &str =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off";

/// The floor of who commits the writes of many runs at once.
pub struct Group {
    writes: mpsc::UnboundedSender<Write>,
    plan: Arc<Plan>,
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
}

impl Group {
    /// On these tables.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(place: &Place, plan: Arc<Plan>) -> Result<Self, Failure> {
        let client = connect(place).await?;
        client.batch_execute(USE_INDEXES).await?;
        let places = plan.places.contains(&true);
        let committer = Committer {
            claim: client.prepare(CLAIM).await?,
            advance: client.prepare(ADVANCE).await?,
            advance_and_place: client.prepare(ADVANCE_AND_PLACE).await?,
            finish: client.prepare(FINISH).await?,
            claims: client.prepare(&claims(1)).await?,
            advances: client.prepare(&advances(places)).await?,
            both: client.prepare(&both(places)).await?,
            client,
            plan: plan.clone(),
        };
        let (writes, queue) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            if let Err(error) = committer.run(queue).await {
                anstream::eprintln!("error: the floor's committer: {error:?}");
            }
        });
        Ok(Self { writes, plan, next: AtomicI64::new(1) })
    }

    /// A run.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn once(&self) -> Result<(), Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
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

struct Committer {
    client: Client,
    plan: Arc<Plan>,
    claim: Statement,
    advance: Statement,
    advance_and_place: Statement,
    finish: Statement,
    claims: Statement,
    advances: Statement,
    both: Statement,
}

/// The columns of a batch.
#[derive(Default)]
struct Claims<'b> {
    ids: Vec<i64>,
    keys: Vec<&'b str>,
    requests: Vec<&'b [u8]>,
}

#[derive(Default)]
struct Advances<'b> {
    ids: Vec<i64>,
    seqs: Vec<i16>,
    from: Vec<&'static str>,
    to: Vec<&'static str>,
    data: Vec<Option<&'b [u8]>>,
    answers: Vec<Option<&'b [u8]>>,
    rows: Vec<Option<&'b str>>,
}

impl Committer {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<Write>) -> Result<(), Failure> {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let written = match batch.as_slice() {
                [one] => self.commit_one(one).await?,
                many => self.commit(many).await?,
            };
            if written != batch.len() as u64 {
                return Err(Failure::Guard);
            }
            for write in batch.drain(..) {
                // A run that was given up does not wait.
                write.done.send(()).unwrap_or_default();
            }
        }
        Ok(())
    }

    async fn commit_one(&self, write: &Write) -> Result<u64, Failure> {
        let (client, plan, id) = (&self.client, &self.plan, &write.id);
        let number = match &write.what {
            What::Claim(key) => return Ok(client.execute(&self.claim, &[id, key, &plan.request]).await?),
            What::Advance(number) => *number,
        };
        let step = plan.step(number);
        Ok(if step.answer.is_some() {
            client.execute(&self.finish, &[id, &step.seq, &step.from, &step.to, &step.answer]).await?
        } else if step.places {
            let place = &self.advance_and_place;
            client.execute(place, &[id, &step.seq, &step.from, &step.to, &step.data, &plan.row]).await?
        } else {
            client.execute(&self.advance, &[id, &step.seq, &step.from, &step.to, &step.data]).await?
        })
    }

    async fn commit(&self, writes: &[Write]) -> Result<u64, Failure> {
        let (mut c, mut a) = (Claims::default(), Advances::default());
        for Write { id, what, .. } in writes {
            match what {
                What::Claim(key) => c.push(*id, key, &self.plan),
                What::Advance(number) => a.push(*id, *number, &self.plan),
            }
        }
        let client = &self.client;
        Ok(if a.ids.is_empty() {
            client.execute(&self.claims, &[&c.ids, &c.keys, &c.requests]).await?
        } else if c.ids.is_empty() {
            let columns: [&(dyn ToSql + Sync); 7] = [&a.ids, &a.seqs, &a.from, &a.to, &a.data, &a.answers, &a.rows];
            client.execute(&self.advances, &columns).await?
        } else {
            let (ids, keys, requests) = (&c.ids, &c.keys, &c.requests);
            let columns: [&(dyn ToSql + Sync); 10] = [
                &a.ids, &a.seqs, &a.from, &a.to, &a.data, &a.answers, &a.rows, ids, keys, requests,
            ];

            client.query_one(&self.both, &columns).await?.get::<_, i64>(0).unsigned_abs()
        })
    }
}

impl<'b> Claims<'b> {
    fn push(&mut self, id: i64, key: &'b str, plan: &'b Plan) {
        self.ids.push(id);
        self.keys.push(key);
        self.requests.push(&plan.request);
    }
}

impl<'b> Advances<'b> {
    fn push(&mut self, id: i64, number: usize, plan: &'b Plan) {
        let step = plan.step(number);
        self.ids.push(id);
        self.seqs.push(step.seq);
        self.from.push(step.from);
        self.to.push(step.to);
        self.data.push(step.data);
        self.answers.push(step.answer);
        self.rows.push(step.places.then_some(plan.row.as_str()));
    }
}

/// Claims, from three arrays of these numbers on.
fn claims(first: usize) -> String {
    let (ids, keys, requests) = (first, first + 1, first + 2);
    format!(
        "INSERT INTO keys (id, scope, key, input, recovery_point, status, fence, lease_expires_at, created_at)
        SELECT c.id, 'bench', c.key, c.input, 'started', 'running', 1, t + interval '30 s', t
        FROM (SELECT clock_timestamp() AS t) AS clock,
            unnest(${ids}::int8[], ${keys}::text[], ${requests}::bytea[]) AS c (id, key, input)
        ON CONFLICT DO NOTHING"
    )
}

/// Steps. The application's rows are left out where there are none: the least SQL.
fn advances(places: bool) -> String {
    format!("{MOVED}{} {POINTS}", if places { PLACED } else { "" })
}

/// Both, as one statement, which is one round trip and one commit.
fn both(places: bool) -> String {
    let (placed, claims) = (if places { PLACED } else { "" }, claims(8));
    format!(
        "{MOVED}{placed}, claimed AS ({claims} RETURNING 1), pointed AS ({POINTS} RETURNING 1)
        SELECT (SELECT count(*) FROM claimed) + (SELECT count(*) FROM pointed)"
    )
}

const MOVED: &str = "
    WITH moved AS (
        UPDATE keys SET
            recovery_point = a.to_point, response = a.answer,
            lease_expires_at = CASE WHEN a.answer IS NULL THEN clock_timestamp() + interval '30 s' END,
            finished_at = CASE WHEN a.answer IS NOT NULL THEN clock_timestamp() END,
            status = CASE WHEN a.answer IS NULL THEN 'running' ELSE 'finished' END
        FROM unnest($1::int8[], $2::int2[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::text[])
            AS a (id, seq, from_point, to_point, data, answer, row)
        WHERE keys.id = a.id AND keys.fence = 1 AND keys.recovery_point = a.from_point
        RETURNING a.id, a.seq, a.to_point, a.data, a.row
    )";
const PLACED: &str = "
    , placed AS (INSERT INTO bench_orders (number, data) SELECT id, row FROM moved WHERE row IS NOT NULL)";
const POINTS: &str = "
    INSERT INTO points (key_id, seq, name, data, fence, at)
    SELECT id, seq, to_point, data, 1, clock_timestamp() FROM moved";
