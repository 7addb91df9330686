//! A call beside a reaper that has deleted its key and has not committed yet.

use std::time::Duration;

use sqlx::{Acquire, Executor};
use workflow_postgres::Postgres;

use super::shop::{REQUEST, Shop, five, key};
use crate::phases::stage::{Noted, open};

const REAP: &str = "DELETE FROM workflow_idempotency_keys; DELETE FROM workflow_recovery_points";
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO%'";

/// A first claim waits for the reaper, and then sees the tombstones of the moment when it began. So they must be older
/// than the reaper: of a key that has one, the claim does not even wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_a_claim_beside_a_reaper_sees_what_was_undone() {
    let stage = open::<Postgres>().await;
    let (undone, whole) = (Shop::refusing(5), Shop::refusing(0));
    let first =
        undone.runner(&stage.store).run(five::<sqlx::PgConnection>, key("undone"), REQUEST).await.unwrap();
    whole.runner(&stage.store).run(five::<sqlx::PgConnection>, key("whole"), REQUEST).await.unwrap();

    let mut reaper = stage.store.pool().acquire().await.unwrap();
    let mut tx = reaper.begin().await.unwrap();
    tx.execute(REAP).await.unwrap();
    // Runners that have not met the keys: they insert first.
    let (late, anew) = (Shop::refusing(0), Shop::refusing(0));
    let other = Postgres::again(&stage).await;
    let replayed = late.runner(&other).run(five::<sqlx::PgConnection>, key("undone"), REQUEST).await.unwrap();
    assert!(replayed.replayed() && replayed.response() == first.response(), "nothing is committed yet");
    let waits = tokio::spawn(anew.runner(&other).run(five::<sqlx::PgConnection>, key("whole"), REQUEST));
    while sqlx::query_scalar::<_, i64>(WAITING).fetch_one(stage.store.pool()).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tx.commit().await.unwrap();

    let answered = waits.await.unwrap().unwrap();
    assert_eq!((answered.status(), answered.replayed()), (201, false));
    assert_eq!(anew.effect_keys("5"), whole.effect_keys("5"));
    let answered = late.runner(&other).run(five::<sqlx::PgConnection>, key("undone"), REQUEST).await.unwrap();
    assert_eq!((answered.status(), answered.replayed()), (201, false));
    for name in ["2", "5"] {
        assert_ne!(late.effect_keys(name), undone.effect_keys(name), "{name}");
    }
}
