//! A smoke of the program that measures: what it reports, and what it refuses to report.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::process::{Command, Output};

use serde_json::Value;

const PROMISED: [&str; 13] = [
    "store",
    "workload",
    "in_flight",
    "runs_per_s",
    "p50_ms",
    "p99_ms",
    "commits_per_run",
    "statements_per_run",
    "wal_bytes_per_run",
    "table_bytes_per_run",
    "cpu_us_per_run",
    "server_cpu_us_per_run",
    "peak_mib",
];

fn throughput() -> Command {
    Command::new(env!("CARGO_BIN_EXE_throughput"))
}

fn last_line(output: &Output) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[test]
fn the_report_on_sqlite_has_every_figure() {
    let arguments = ["--store", "sqlite", "--seconds", "1", "--in-flight", "4", "--floor", "--json"];
    let report = last_line(&throughput().args(arguments).output().unwrap());
    for name in PROMISED {
        assert!(report.get(name).is_some(), "{name} is not there: {report}");
    }
    assert_eq!(report["store"], "sqlite");
    assert_eq!(report["workload"], "foreign5");
    assert_eq!(report["in_flight"], 4);
    for floor in ["floor_separate_per_s", "floor_group_per_s", "floor_one_commit_per_s"] {
        assert!(report[floor].as_f64().unwrap() > 0.0, "{floor}: {report}");
    }
    assert!(report["runs_per_s"].as_f64().unwrap() > 0.0);
    // What is counted from outside is what the floors are made of: six writes, each in a commit of its own, or all in
    // one.
    let commits = |floor: &str| report["floors"][floor]["commits_per_run"].as_f64().unwrap();
    assert!((commits("separate") - 6.0).abs() < 0.01, "{report}");
    assert!((commits("one_commit") - 1.0).abs() < 0.01, "{report}");
    assert!(commits("group") <= 6.0, "{report}");
}

#[test]
fn the_number_of_steps_is_the_number_of_commits() {
    let arguments = ["--store", "sqlite", "--workload", "foreign5", "--steps", "100", "--in-flight", "1"];
    let arguments = [&arguments[..], &["--seconds", "0.2", "--rounds", "1", "--floor", "--json"]].concat();
    let report = last_line(&throughput().args(arguments).output().unwrap());
    assert_eq!(report["steps"], 100);
    let commits = report["floors"]["separate"]["commits_per_run"].as_f64().unwrap();
    assert!((commits - 101.0).abs() < 0.01, "{report}");
}

#[test]
fn nothing_is_reported_of_a_server_that_could_lose_a_commit() {
    let url = std::env::var("DATABASE_URL")
        .expect("this test needs PostgreSQL: run ./test.sh, which starts one, or set DATABASE_URL");
    // A server whose fsync is on is made unfit for these connections alone.
    let join = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{join}options=-c%20synchronous_commit%3Doff");
    let arguments = ["--store", "postgres", "--seconds", "1", "--json"];
    let output = throughput().args(arguments).env("DATABASE_URL", url).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{err}");
    assert!(err.contains("fsync is off") || err.contains("synchronous_commit is off"), "{err}");
}

#[test]
fn more_atomic_steps_than_there_are_are_refused() {
    let arguments = ["--store", "sqlite", "--workload", "atomic5", "--steps", "11"];
    let output = throughput().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("atomic5 has at most 10 steps"));
}
