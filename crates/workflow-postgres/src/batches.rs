//! Group commit: what each kind of batch writes. How batches form, and what becomes of one that fails, is the core's.
//!
//! Claims have a committer and a connection of their own. An insert waits for another's insert of the same key; a step
//! forward must not wait behind that.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use workflow::StoreError;
use workflow::seam::{Batch, Committer, NewKey, OnCommit, OwnedAdvance};

use crate::error::committing;
use crate::lane::Lane;
use crate::postgres::connection;
use crate::writes::{Release, Writes};

/// What a row takes on the wire besides its texts and bytes, at the most: ids, digests, times, and a length each.
const FIXED: usize = 256;

/// The committers of one store.
pub(crate) struct Committers {
    pub(crate) claims: Committer<Claims>,
    pub(crate) advances: Committer<Advances>,
    pub(crate) releases: Committer<Releases>,
}

impl Committers {
    /// Single writes go through `pool`; `lanes` makes the connections of the batches.
    pub(crate) fn new(pool: &PgPool, lanes: &PgPool, writes: &Writes, told: &OnCommit) -> Self {
        let desk = || Desk { pool: pool.clone(), lane: Lane::new(lanes.clone()), writes: writes.clone() };
        Self {
            claims: Committer::telling(Claims(desk()), told.clone()),
            advances: Committer::telling(Advances(desk()), told.clone()),
            releases: Committer::telling(Releases(desk()), told.clone()),
        }
    }
}

/// What every kind of batch is written with.
pub(crate) struct Desk {
    pool: PgPool,
    lane: Lane,
    writes: Writes,
}

/// First claims.
pub(crate) struct Claims(Desk);

impl Batch for Claims {
    type Write = NewKey;
    type Answer = Option<DateTime<Utc>>;

    fn order(a: &NewKey, b: &NewKey) -> Ordering {
        (&a.scope, &a.value).cmp(&(&b.scope, &b.value))
    }

    fn bytes(new: &NewKey) -> usize {
        let path = new.request_path.as_ref().map_or(0, String::len);
        FIXED + new.scope.len() + new.value.len() + new.workflow.len() + path + new.request_params.len()
    }

    fn largest_bytes(&self) -> usize {
        self.0.lane.largest_bytes()
    }

    async fn together(&self, new: &[NewKey]) -> Result<Answers<Self>, StoreError> {
        let Desk { lane, writes, .. } = &self.0;
        let inserted = lane.run("claiming", async |conn| match new {
            [new] => writes.insert(conn, new).await.map(|at| vec![at]),
            many => writes.insert_batch(conn, many).await,
        });
        Ok(inserted.await?.into_iter().map(Ok).collect())
    }

    async fn alone(&self, new: &NewKey) -> Result<Option<DateTime<Utc>>, StoreError> {
        let mut conn = connection(&self.0.pool).await?;
        let inserted = self.0.writes.insert(&mut conn, new).await;
        conn.answered(inserted).map_err(committing("claiming"))
    }
}

/// Steps forward: points that foreign steps have reached, and responses.
pub(crate) struct Advances(Desk);

impl Batch for Advances {
    type Write = OwnedAdvance;
    type Answer = DateTime<Utc>;

    fn order(a: &OwnedAdvance, b: &OwnedAdvance) -> Ordering {
        a.lease.id.cmp(&b.lease.id)
    }

    fn bytes(step: &OwnedAdvance) -> usize {
        let advance = step.get();
        let names = advance.prev.len() + advance.name().len() + advance.step.len();
        let response =
            advance.response().map_or(0, |(response, _)| response.headers.len() + response.body.len());
        FIXED + names + advance.data().map_or(0, <[u8]>::len) + response
    }

    fn largest_bytes(&self) -> usize {
        self.0.lane.largest_bytes()
    }

    async fn together(&self, steps: &[OwnedAdvance]) -> Result<Answers<Self>, StoreError> {
        let Desk { lane, writes, .. } = &self.0;
        let moved = lane.run("advancing", async |conn| match steps {
            [step] => writes.advance(conn, step.lease, step.get()).await.map(|at| vec![at]),
            many => writes.advance_batch(conn, many).await,
        });
        Ok(moved.await?.into_iter().map(|at| at.ok_or(StoreError::LeaseLost)).collect())
    }

    async fn alone(&self, step: &OwnedAdvance) -> Result<DateTime<Utc>, StoreError> {
        let mut conn = connection(&self.0.pool).await?;
        let moved = self.0.writes.advance(&mut conn, step.lease, step.get()).await;
        conn.answered(moved).map_err(committing("advancing"))?.ok_or(StoreError::LeaseLost)
    }
}

/// Leases that are given back.
pub(crate) struct Releases(Desk);

impl Batch for Releases {
    type Write = Release;
    type Answer = ();

    fn order(a: &Release, b: &Release) -> Ordering {
        a.lease.id.cmp(&b.lease.id)
    }

    fn bytes(release: &Release) -> usize {
        FIXED + release.error.as_ref().map_or(0, String::len)
    }

    fn largest_bytes(&self) -> usize {
        self.0.lane.largest_bytes()
    }

    async fn together(&self, releases: &[Release]) -> Result<Answers<Self>, StoreError> {
        let Desk { lane, writes, .. } = &self.0;
        let released = lane.run("giving a lease back", async |conn| match releases {
            [release] => writes.release(conn, release).await,
            many => writes.release_batch(conn, many).await,
        });
        released.await?;
        Ok(releases.iter().map(|_| Ok(())).collect())
    }

    async fn alone(&self, release: &Release) -> Result<(), StoreError> {
        let mut conn = connection(&self.0.pool).await?;
        let released = self.0.writes.release(&mut conn, release).await;
        conn.answered(released).map_err(committing("giving a lease back"))
    }
}

type Answers<B> = Vec<Result<<B as Batch>::Answer, StoreError>>;
