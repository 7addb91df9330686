//! What a scrape shows, by name, label and value, after runs over the store in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect has failed"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use serde::{Deserialize, Serialize};
use workflow::{Atomic, Error, Foreign, Halt, Key, RecoveryPoint, Response, Runner, Step, Workflow};
use workflow_metrics::{BUCKETS, Metrics, names};
use workflow_testkit::{Memory, MemoryConn};

const LEASE: Duration = Duration::from_secs(3600);
const SECRET: &str = "s3cret-k3y";
const SCOPE: &str = "s3cret-sc0pe";

#[derive(Clone, Serialize, Deserialize)]
struct Cart {
    card: String,
}

#[derive(Serialize, Deserialize)]
struct Reserved;

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Reserved {
    const NAME: &'static str = "reserved";
}

/// How often the gateway fails, and whether it declines then.
struct Shop {
    failures: AtomicU32,
    declines: bool,
}

async fn reserve(cx: Atomic<'_, MemoryConn, Shop, Cart>, _: Cart) -> Step<Reserved> {
    cx.stage("receipt", &"one")?;
    Ok(Reserved)
}

async fn release(_: Atomic<'_, MemoryConn, Shop, Cart>, _: Reserved) -> Step<()> {
    Ok(())
}

async fn charge(cx: Foreign<'_, Shop, Cart>, _: Reserved) -> Step<Response> {
    let failures = &cx.app.failures;
    if failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        return Err(Halt::of(format!("the gateway is away for {SECRET}")));
    }
    match cx.app.declines {
        true => Err(Response::empty(402).into()),
        false => Ok(Response::empty(201)),
    }
}

fn buy() -> Workflow<MemoryConn, Shop, Cart> {
    Workflow::new("buy").atomic("reserve", reserve).undo(release).foreign("charge", charge).build()
}

fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets).unwrap();
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

fn runner(store: &Memory, metrics: &Metrics, failures: u32, declines: bool) -> Runner<Memory, Shop> {
    let shop = Shop { failures: AtomicU32::new(failures), declines };
    let runner = Runner::builder(store.clone(), shop).lease(LEASE).with(buy).observer(metrics.clone());
    runner.build().unwrap()
}

fn key(value: &str) -> Key {
    Key::new(SCOPE, format!("{SECRET}-{value}")).unwrap()
}

fn cart(card: &str) -> Cart {
    Cart { card: card.to_owned() }
}

/// The value of this series, labels in the order in which they were given.
#[track_caller]
fn assert_shows(scrape: &str, series: &str, value: f64) {
    let found = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let found = found.unwrap_or_else(|| panic!("no {series} in\n{scrape}"));
    assert_eq!(found.parse::<f64>().unwrap(), value, "{series} in\n{scrape}");
}

#[tokio::test]
async fn what_runs_do_is_counted_under_the_names_of_the_contract() {
    let (recorder, handle) = recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (store, metrics) = (Memory::new(), Metrics::new());
    metrics.describe();
    for name in ["takeovers", "leases_lost", "fenced_writes", "replays", "conflicts", "mismatches"] {
        assert_shows(&handle.render(), &format!("workflow_{name}_total"), 0.0);
    }

    let runner = runner(&store, &metrics, 1, false);
    let failed = runner.run(buy, key("a"), cart("4242")).await;
    assert!(matches!(failed, Err(Error::Step { .. })), "{failed:?}");
    for _ in 0..3 {
        runner.run(buy, key("a"), cart("4242")).await.unwrap();
    }
    runner.run(buy, key("a"), cart("1111")).await.unwrap_err();
    let declining = self::runner(&store, &metrics, 0, true);
    assert_eq!(declining.run(buy, key("b"), cart("4242")).await.unwrap().status(), 402);
    metrics.on_commit()(3);

    let scrape = handle.render();
    for (series, value) in [
        (r#"workflow_runs_total{workflow="buy",outcome="failed"}"#, 1.0),
        (r#"workflow_runs_total{workflow="buy",outcome="finished"}"#, 1.0),
        (r#"workflow_runs_total{workflow="buy",outcome="undone"}"#, 1.0),
        (r#"workflow_steps_total{workflow="buy",step="reserve",outcome="reached"}"#, 2.0),
        (r#"workflow_steps_total{workflow="buy",step="charge",outcome="failed"}"#, 1.0),
        (r#"workflow_steps_total{workflow="buy",step="charge",outcome="reached"}"#, 1.0),
        (r#"workflow_steps_total{workflow="buy",step="charge",outcome="answered"}"#, 1.0),
        (r#"workflow_undos_total{workflow="buy",step="reserve",outcome="reached"}"#, 1.0),
        ("workflow_replays_total", 2.0),
        ("workflow_mismatches_total", 1.0),
        ("workflow_conflicts_total", 0.0),
        ("workflow_takeovers_total", 0.0),
        (r#"workflow_step_seconds_count{workflow="buy",step="charge"}"#, 3.0),
        (r#"workflow_step_seconds_bucket{workflow="buy",step="charge",le="+Inf"}"#, 3.0),
        (r#"workflow_run_seconds_count{workflow="buy"}"#, 3.0),
        (r#"workflow_commit_batch_size_bucket{le="2"}"#, 0.0),
        (r#"workflow_commit_batch_size_bucket{le="4"}"#, 1.0),
    ] {
        assert_shows(&scrape, series, value);
    }
}

#[tokio::test]
async fn the_gauges_say_what_the_database_says_and_go_to_zero() {
    let (recorder, handle) = recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (store, metrics) = (Memory::new(), Metrics::new());
    let runner = runner(&store, &metrics, 2, false);
    metrics.gauges(&runner).await.unwrap();
    assert_shows(&handle.render(), "workflow_oldest_unfinished_seconds", 0.0);

    for value in ["a", "b"] {
        runner.run(buy, key(value), cart("4242")).await.unwrap_err();
    }
    store.clock().advance(Duration::from_secs(600));
    // Clones are one: a scrape by another handle knows what this one has set.
    metrics.clone().gauges(&runner).await.unwrap();
    let (scrape, reserved) =
        (handle.render(), r#"workflow_unfinished{workflow="buy",recovery_point="reserved"}"#);
    assert_shows(&scrape, reserved, 2.0);
    assert_shows(&scrape, "workflow_needs_attention", 0.0);
    assert_shows(&scrape, "workflow_outbox_pending", 2.0);
    let oldest = scrape.lines().find_map(|line| line.strip_prefix("workflow_oldest_unfinished_seconds "));
    let oldest: f64 = oldest.unwrap().parse().unwrap();
    assert!((600.0..660.0).contains(&oldest), "{oldest}");

    for value in ["a", "b"] {
        runner.run(buy, key(value), cart("4242")).await.unwrap();
    }
    metrics.gauges(&runner).await.unwrap();
    let scrape = handle.render();
    assert_shows(&scrape, reserved, 0.0);
    assert_shows(&scrape, "workflow_oldest_unfinished_seconds", 0.0);
    assert_shows(&scrape, "workflow_outbox_pending", 2.0);
}

#[tokio::test]
async fn no_metric_has_a_key_a_scope_or_an_error_in_it() {
    let (recorder, handle) = recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (store, metrics) = (Memory::new(), Metrics::new());
    metrics.describe();
    let runner = runner(&store, &metrics, 1, false);
    runner.run(buy, key("a"), cart("4242")).await.unwrap_err();
    metrics.gauges(&runner).await.unwrap();
    runner.run(buy, key("a"), cart("1111")).await.unwrap_err();
    runner.run(buy, key("a"), cart("4242")).await.unwrap();
    let scrape = handle.render();
    for secret in [SECRET, SCOPE, "4242", "1111"] {
        assert!(!scrape.contains(secret), "{secret} in\n{scrape}");
    }
    assert!(scrape.contains("# HELP workflow_runs_total Runs that have ended"), "{scrape}");
    assert!(scrape.contains("# TYPE workflow_step_seconds histogram"), "{scrape}");
    assert!(scrape.contains(&format!("# TYPE {} gauge", names::UNFINISHED)), "{scrape}");
}
