//! PostgreSQL, each write by itself: an insert, then a statement a step, through sqlx and a pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::postgres_tables::CONNECTIONS;
use super::{Plan, fresh_key};
use crate::failure::Failure;
use crate::server::{self, Place};

/// The floor of who commits each write by itself.
pub struct Separate {
    pool: PgPool,
    plan: Arc<Plan>,
    next: AtomicI64,
}

impl Separate {
    /// On these tables.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(place: &Place, plan: Arc<Plan>) -> Result<Self, Failure> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS as u32).test_before_acquire(false);
        let pool = pool.connect(&place.url).await?;
        server::durable_pool(&pool).await?;
        Ok(Self { pool, plan, next: AtomicI64::new(1) })
    }

    /// A run.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn once(&self) -> Result<(), Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let claim = sqlx::query(CLAIM).bind(id).bind(fresh_key()).bind(&self.plan.request);
        held(claim.execute(&self.pool).await?.rows_affected())?;
        for number in 1..=self.plan.steps() {
            let step = self.plan.step(number);
            let sql = if step.answer.is_some() {
                FINISH
            } else if step.places {
                ADVANCE_AND_PLACE
            } else {
                ADVANCE
            };
            let mut moved = sqlx::query(sql).bind(id).bind(step.seq).bind(step.from).bind(step.to);
            moved = moved.bind(step.data.or(step.answer));
            if step.places {
                moved = moved.bind(&self.plan.row);
            }
            held(moved.execute(&self.pool).await?.rows_affected())?;
        }
        Ok(())
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn held(rows: u64) -> Result<(), Failure> {
    if rows == 1 { Ok(()) } else { Err(Failure::Guard) }
}

/// A claim.
pub const CLAIM: &str = "
    INSERT INTO keys (id, scope, key, input, recovery_point, status, fence, lease_expires_at, created_at)
    SELECT $1::int8, 'bench', $2::text, $3::bytea, 'started', 'running', 1, t + interval '30 s', t
    FROM (SELECT clock_timestamp() AS t) AS clock
    ON CONFLICT DO NOTHING";

/// A step that reaches a point.
pub const ADVANCE: &str = "
    WITH moved AS (
        UPDATE keys SET recovery_point = $4::text, lease_expires_at = clock_timestamp() + interval '30 s'
        WHERE id = $1::int8 AND fence = 1 AND recovery_point = $3::text
        RETURNING id
    )
    INSERT INTO points (key_id, seq, name, data, fence, at)
    SELECT id, $2::int2, $4, $5::bytea, 1, clock_timestamp() FROM moved";

/// The same with a row of the application's.
pub const ADVANCE_AND_PLACE: &str = "
    WITH moved AS (
        UPDATE keys SET recovery_point = $4::text, lease_expires_at = clock_timestamp() + interval '30 s'
        WHERE id = $1::int8 AND fence = 1 AND recovery_point = $3::text
        RETURNING id
    ), placed AS (
        INSERT INTO bench_orders (number, data) SELECT id, $6::text FROM moved
    )
    INSERT INTO points (key_id, seq, name, data, fence, at)
    SELECT id, $2::int2, $4, $5::bytea, 1, clock_timestamp() FROM moved";

/// The last step: the response is stored once, in the key's row.
pub const FINISH: &str = "
    WITH moved AS (
        UPDATE keys SET recovery_point = $4::text, status = 'finished', response = $5::bytea,
            finished_at = clock_timestamp(), lease_expires_at = NULL
        WHERE id = $1::int8 AND fence = 1 AND recovery_point = $3::text
        RETURNING id
    )
    INSERT INTO points (key_id, seq, name, data, fence, at)
    SELECT id, $2::int2, $4, NULL, 1, clock_timestamp() FROM moved";
