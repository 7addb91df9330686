//! Rows that another build, or nobody, could have written: what this build cannot drive or read, it does not lease.

use std::time::Duration;

use uuid::Uuid;
use workflow::seam::{Advance, Lease, NewKey, Take, To};
use workflow::{Clock, Key, Store, StoreError};

use crate::databases;

const LEASE: Duration = Duration::from_secs(60 * 60);

pub(crate) fn new_key(value: &str) -> NewKey {
    NewKey {
        id: Uuid::now_v7(),
        claim_id: Uuid::new_v4(),
        scope: "tenant".into(),
        value: value.into(),
        workflow: "checkout".into(),
        version: 3,
        digest: [7; 32],
        digest_version: 1,
        effect_seed: [8; 32],
        generation: 0,
        request_method: None,
        request_path: None,
        request_params: b"{}".to_vec(),
        lease: LEASE,
    }
}

fn take_of(new: &NewKey) -> Take<'_> {
    Take {
        scope: &new.scope,
        value: &new.value,
        claim_id: Uuid::new_v4(),
        workflow: &new.workflow,
        digest: None,
        points: &["started", "charged"],
        lease: LEASE,
    }
}

/// The whole row, and how to change it behind the store's back.
macro_rules! behind {
    ($store:ident) => {
        (
            async |sql: &'static str| {
                sqlx::query(sql).execute($store.pool()).await.unwrap();
            },
            async || sqlx::query_scalar::<_, String>(ROW).fetch_one($store.pool()).await.unwrap(),
        )
    };
}

const ROW: &str = "SELECT status || ' ' || fence || ' ' || attempts || ' ' || step_attempts || ' '
    || coalesce(CAST(lease_expires_at AS text), 'free') || ' ' || coalesce(CAST(wake_at AS text), 'asleep')
    || ' ' || CAST(last_run_at AS text) FROM workflow_idempotency_keys";

const ATTENTION: &str = "UPDATE workflow_idempotency_keys SET status = 'needs_attention', wake_at = NULL";
const RUNNING: &str = "UPDATE workflow_idempotency_keys SET status = 'running'";
const FORGET_THE_POINTS: &str = "DELETE FROM workflow_recovery_points";

async fn a_take_leaves_it<S: Store>(
    store: &S,
    clock: &Clock,
    set: impl AsyncFn(&'static str),
    row: impl AsyncFn() -> String,
) {
    let new = new_key("k");
    store.insert(&new).await.unwrap().unwrap();
    clock.advance(LEASE * 2);
    set(ATTENTION).await;
    let before = row().await;
    assert!(store.take(take_of(&new)).await.unwrap().is_none(), "{before}");
    let own = Take { claim_id: new.claim_id, ..take_of(&new) };
    assert!(store.take(own).await.unwrap().is_none(), "{before}: not even by its own claim");
    assert_eq!(row().await, before);
    set(RUNNING).await;
    assert!(store.take(take_of(&new)).await.unwrap().is_some());
}

#[tokio::test]
async fn sqlite_leaves_a_key_of_another_status_as_it_is() {
    let (_database, store, clock) = databases::sqlite_store().await;
    let (set, row) = behind!(store);
    a_take_leaves_it(&store, &clock, set, row).await;
}

#[tokio::test]
async fn postgres_leaves_a_key_of_another_status_as_it_is() {
    let (_database, store, clock) = databases::postgres_store().await;
    let (set, row) = behind!(store);
    a_take_leaves_it(&store, &clock, set, row).await;
}

async fn a_damaged_row_stays_free<S: Store>(store: &S, clock: &Clock, set: impl AsyncFn(&'static str)) {
    let new = new_key("k");
    let at = store.insert(&new).await.unwrap().unwrap();
    let charged = Advance {
        prev: "started",
        step: "charge",
        seq: 1,
        attempts: 1,
        first_attempt_at: Some(at),
        to: To::Point { name: "charged", data: b"{}" },
        lease: LEASE,
    };
    store.advance(Lease { id: new.id, fence: 1 }, charged).await.unwrap();
    set(FORGET_THE_POINTS).await;
    clock.advance(LEASE * 2);
    for _ in 0..2 {
        let answer = store.take(take_of(&new)).await;
        assert!(matches!(answer, Err(StoreError::Damaged(_))));
        let row = store.find(&Key::new("tenant", "k").unwrap()).await.unwrap().unwrap();
        assert!(row.lease_left.is_zero(), "nobody has it, but it is leased");
    }
}

#[tokio::test]
async fn sqlite_does_not_keep_the_lease_of_a_damaged_row() {
    let (_database, store, clock) = databases::sqlite_store().await;
    let (set, _) = behind!(store);
    a_damaged_row_stays_free(&store, &clock, set).await;
}

#[tokio::test]
async fn postgres_does_not_keep_the_lease_of_a_damaged_row() {
    let (_database, store, clock) = databases::postgres_store().await;
    let (set, _) = behind!(store);
    a_damaged_row_stays_free(&store, &clock, set).await;
}

const EXPIRED: &str = "UPDATE workflow_idempotency_keys SET expires_at = created_at";

/// Neither this build nor an earlier one gives a key that is not finished a time to expire.
async fn an_unfinished_row_stays<S: Store>(store: &S, clock: &Clock, set: impl AsyncFn(&'static str)) {
    store.insert(&new_key("k")).await.unwrap().unwrap();
    set(EXPIRED).await;
    clock.advance(LEASE * 1000);
    assert_eq!(store.reap(10).await.unwrap(), 0);
    set(ATTENTION).await;
    assert_eq!(store.reap(10).await.unwrap(), 0);
    assert!(store.find(&Key::new("tenant", "k").unwrap()).await.unwrap().is_some());
}

#[tokio::test]
async fn sqlite_does_not_reap_an_unfinished_row_that_says_it_is_over() {
    let (_database, store, clock) = databases::sqlite_store().await;
    let (set, _) = behind!(store);
    an_unfinished_row_stays(&store, &clock, set).await;
}

#[tokio::test]
async fn postgres_does_not_reap_an_unfinished_row_that_says_it_is_over() {
    let (_database, store, clock) = databases::postgres_store().await;
    let (set, _) = behind!(store);
    an_unfinished_row_stays(&store, &clock, set).await;
}

async fn a_high_version_can_be_read<S: Store>(store: &S) {
    let new = NewKey { version: 4_000_000_000, ..new_key("k") };
    store.insert(&new).await.unwrap().unwrap();
    let row = store.find(&Key::new("tenant", "k").unwrap()).await.unwrap().unwrap();
    assert_eq!(row.version, i32::MAX);
}

#[tokio::test]
async fn a_version_that_is_too_high_can_be_read_again() {
    a_high_version_can_be_read(&databases::sqlite_store().await.1).await;
    a_high_version_can_be_read(&databases::postgres_store().await.1).await;
}

#[tokio::test]
async fn postgres_migrates_a_schema_without_the_right_to_make_one() {
    let database = databases::postgres().await;
    let admin = sqlx::PgPool::connect(&database.url).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&admin).await.unwrap();
    let grant = format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'secret'; CREATE SCHEMA app AUTHORIZATION {name};
         REVOKE CREATE ON DATABASE {name} FROM PUBLIC"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&admin).await.unwrap();
    let options = (*admin.connect_options()).clone().username(&name).password("secret");
    let pool = sqlx::PgPool::connect_with(options).await.unwrap();
    let schema = |name: &str| workflow_postgres::Options::default().schema(name);
    let store = workflow_postgres::Postgres::from_pool(pool.clone(), schema("app")).unwrap();
    store.migrate().await.expect("the schema is there");
    store.verify().await.unwrap();
    let other = workflow_postgres::Postgres::from_pool(pool, schema("other")).unwrap();
    assert!(matches!(other.migrate().await, Err(StoreError::Refused { .. })), "the right is really missing");
}
