//! How many commits a run makes, and what each of them holds.

use std::sync::Arc;

use workflow::{Reach, Store};
use workflow_postgres::Postgres;
use workflow_testkit::Faulty;

use super::everywhere;
use super::shop::{Act, Point, Shop, checked, five, journal, key, mixed, noted, tail};
use super::stage::{self, Noted, Stage};

/// The calls of a store that commit by themselves.
fn commits<S: Store>(store: &Faulty<S>) -> Vec<&'static str> {
    let committing = ["insert", "take", "advance", "commit", "fail", "release"];
    store.calls().into_iter().filter(|call| committing.contains(call)).collect()
}

async fn five_atomic_steps_are_two_commits<S: Noted>(stage: Stage<S>) {
    let (shop, store, key) = (Shop::open(), Faulty::new(stage.store.clone(), []), key("k"));
    let answered = shop.runner(&store).run(five, key.clone(), Point::default()).await.unwrap();
    assert_eq!(answered.ran(), ["a", "b", "c", "d", "e"]);
    assert_eq!(store.calls(), ["insert", "begin", "advance_in", "commit"]);
    assert_eq!(shop.ran(), "abcde");
    assert_eq!(noted(&stage.store, &key).await, "abcde");
    assert_eq!(journal(&stage.store, &key).await, "a>one b>two c>three d>four e>finished");
}

async fn a_foreign_step_commits_with_the_atomic_ones_after_it<S: Noted>(stage: Stage<S>) {
    let (shop, store, key) = (Shop::open(), Faulty::new(stage.store.clone(), []), key("k"));
    let answered = shop.runner(&store).run(mixed, key.clone(), Point::default()).await.unwrap();
    assert_eq!(answered.ran(), ["a", "f", "b", "g"]);
    assert_eq!(commits(&store), ["insert", "commit", "commit", "advance"]);
    assert_eq!(noted(&stage.store, &key).await, "ab");
    assert_eq!(journal(&stage.store, &key).await, "a>one f>two b>three g>finished");
}

async fn a_checkpoint_is_a_commit_of_its_own<S: Noted>(stage: Stage<S>) {
    let (shop, store, key) = (Shop::open(), Faulty::new(stage.store.clone(), []), key("k"));
    let answered = shop.runner(&store).run(checked, key.clone(), Point::default()).await.unwrap();
    assert_eq!(answered.ran(), ["f", "b", "c", "d", "e"]);
    // The claim, f, b, c, and d with e.
    assert_eq!(commits(&store), ["insert", "advance", "commit", "commit", "commit"]);
    assert_eq!(noted(&stage.store, &key).await, "bcde");
    assert_eq!(journal(&stage.store, &key).await, "f>one b>two c>three d>four e>finished");
}

async fn a_checkpoint_is_committed_before_the_next_step_begins<S: Noted>(stage: Stage<S>) {
    for (step, reached) in [("b", "f>one"), ("c", "f>one b>two"), ("d", "f>one b>two c>three")] {
        let (shop, key) = (Shop::acting(step, Act::Wait, 1), key(step));
        let run = tokio::spawn(shop.runner(&stage.store).run(checked, key.clone(), Point::default()));
        shop.waiting.acquire().await.unwrap().forget();
        assert_eq!(journal(&stage.store, &key).await, reached, "while {step} runs");
        shop.free.add_permits(1);
        assert_eq!(run.await.unwrap().unwrap().status(), 200);
    }
}

async fn a_single_step_is_a_single_step<S: Noted>(stage: Stage<S>) {
    let (shop, key) = (Shop::acting("f", Act::Fail, 1), key("k"));
    shop.tail(&stage.store, &key).await.unwrap_err();
    let runner = shop.runner(&stage.store);
    let mut reached = Vec::new();
    for step in ["f", "b", "c"] {
        let stepped = runner.step(key.clone()).await.unwrap();
        let Reach::Point { name, .. } = stepped.reach else { panic!("{step} has reached the end") };
        reached.push(format!("{step}>{name}"));
        assert_eq!((stepped.step, stepped.jobs.len()), (Some(step), usize::from(step != "f")));
        assert_eq!(journal(&stage.store, &key).await, reached.join(" "));
        assert!(stage.store.find(&key).await.unwrap().unwrap().lease_left.is_zero(), "given back");
    }
    assert!(matches!(runner.step(key.clone()).await.unwrap().reach, Reach::Response(_)));
    assert_eq!(shop.ran(), "ffbcd");
    assert_eq!(noted(&stage.store, &key).await, "bcd");
}

everywhere!(
    five_atomic_steps_are_two_commits,
    a_foreign_step_commits_with_the_atomic_ones_after_it,
    a_checkpoint_is_a_commit_of_its_own,
    a_checkpoint_is_committed_before_the_next_step_begins,
    a_single_step_is_a_single_step,
);

/// By the transactions that PostgreSQL itself has written into the rows, as `point+point note+note`.
async fn transactions(stage: &Stage<Postgres>) -> Vec<String> {
    let written = "
        SELECT string_agg(what, '+' ORDER BY at, what) FROM (
            SELECT xmin::text::int8 AS tx, seq AS at, name AS what FROM workflow_recovery_points
            UNION ALL SELECT xmin::text::int8, 9, recovery_point FROM workflow_idempotency_keys
                WHERE status = 'finished'
            UNION ALL SELECT xmin::text::int8, 10, note FROM notes
            UNION ALL SELECT xmin::text::int8, 20, 'job ' || kind FROM workflow_staged_jobs
        ) AS rows GROUP BY tx ORDER BY tx";
    sqlx::query_scalar(written).fetch_all(stage.store.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_the_rows_of_a_phase_are_of_one_transaction() {
    let stage = stage::open::<Postgres>().await;
    let runner = Shop::open().runner(&stage.store);
    runner.run(mixed, key("k"), Point::default()).await.unwrap();
    let expected = ["one+k a+job a", "two+three+k b+job b", "finished"];
    assert_eq!(transactions(&stage).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_the_row_of_a_carried_point_is_of_the_phases_transaction() {
    let stage = stage::open::<Postgres>().await;
    let runner = Shop::open().runner(&stage.store);
    runner.run(tail, key("k"), Point::default()).await.unwrap();
    let expected = ["one+two+three+finished+k b+k c+k d+job b+job c+job d"];
    assert_eq!(transactions(&stage).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_heartbeat_renews_while_the_steps_of_a_phase_write() {
    let stage = stage::open::<Postgres>().await;
    let (shop, key) = (Shop::acting("c", Act::Wait, 1), key("k"));
    let run = {
        let (shop, store, key): (Arc<Shop>, _, _) = (shop.clone(), stage.store.clone(), key.clone());
        tokio::spawn(async move { shop.tail(&store, &key).await })
    };
    shop.waiting.acquire().await.unwrap().forget();
    let row = stage.store.find(&key).await.unwrap().unwrap();
    assert_eq!(row.recovery_point, "started", "nothing of the phase is committed");
    let lease = workflow::seam::Lease { id: row.id, fence: row.fence };
    let beats = stage.store.heart().heartbeat(&[lease], super::shop::LEASE).await.unwrap();
    assert_eq!(beats, [workflow::seam::Beat::Renewed], "its row is not locked before the walk");
    shop.free.add_permits(1);
    assert_eq!(run.await.unwrap().unwrap().status(), 200);
}
