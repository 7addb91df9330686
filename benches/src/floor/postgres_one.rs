//! PostgreSQL, a whole run in one statement: what a run without recovery points would cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio_postgres::{Client, Statement};

use super::pool::Pool;
use super::postgres_tables::{CONNECTIONS, connect};
use super::{Plan, fresh_key};
use crate::failure::Failure;
use crate::server::Place;

/// The floor of who commits once a run.
pub struct One {
    pool: Pool<(Client, Statement)>,
    plan: Arc<Plan>,
    steps: Steps,
    rows: Vec<String>,
    next: AtomicI64,
}

/// The steps of a run, as columns.
#[derive(Default)]
struct Steps {
    seqs: Vec<i16>,
    names: Vec<&'static str>,
    data: Vec<Option<Vec<u8>>>,
}

impl Steps {
    fn of(plan: &Plan) -> Self {
        let mut steps = Self::default();
        for step in (1..=plan.steps()).map(|number| plan.step(number)) {
            steps.seqs.push(step.seq);
            steps.names.push(step.to);
            steps.data.push(step.data.map(<[u8]>::to_vec));
        }
        steps
    }
}

impl One {
    /// On these tables.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(place: &Place, plan: Arc<Plan>) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = connect(place).await?;
            let statement = client.prepare(RUN).await?;
            all.push((client, statement));
        }
        let rows = plan.places.iter().filter(|places| **places).map(|_| plan.row.clone()).collect();
        Ok(Self { pool: Pool::new(all), steps: Steps::of(&plan), plan, rows, next: AtomicI64::new(1) })
    }

    /// A run.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn once(&self) -> Result<(), Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let lent = self.pool.get().await?;
        let (client, statement) = &*lent;
        let Steps { seqs, names, data } = &self.steps;
        let written = client
            .execute(
                statement,
                &[
                    &id,
                    &fresh_key(),
                    &self.plan.request,
                    &self.plan.answer,
                    seqs,
                    names,
                    data,
                    &self.rows,
                ],
            )
            .await?;
        if written == seqs.len() as u64 { Ok(()) } else { Err(Failure::Guard) }
    }
}

const RUN: &str = "
    WITH kept AS (
        INSERT INTO keys (id, scope, key, input, recovery_point, status, fence, response, created_at, finished_at)
        SELECT $1::int8, 'bench', $2::text, $3::bytea, 'finished', 'finished', 1, $4::bytea, t, t
        FROM (SELECT clock_timestamp() AS t) AS clock
        ON CONFLICT DO NOTHING
        RETURNING id, created_at
    ), placed AS (
        INSERT INTO bench_orders (number, data) SELECT id, row FROM kept, unnest($8::text[]) AS rows (row)
    )
    INSERT INTO points (key_id, seq, name, data, fence, at)
    SELECT id, seq, name, data, 1, created_at
    FROM kept, unnest($5::int2[], $6::text[], $7::bytea[]) AS step (seq, name, data)";
