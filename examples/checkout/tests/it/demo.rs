//! The demo, as a newcomer runs it.

use std::time::Duration;

use serde_json::{Value, json};

use super::place::{Place, good, lines};

/// The last line of the demo's output.
fn report(place: &Place, more: &[&str]) -> Value {
    let arguments = [&["demo", "--dir", "d", "--json"], more].concat();
    let output = good(place.run(&arguments));
    lines(&output.stdout).pop().unwrap()
}

fn with(report: &Value, members: Value) {
    for (name, expected) in members.as_object().unwrap() {
        assert_eq!(&report[name], expected, "{name} of {report}");
    }
}

#[test]
fn the_demo_places_every_purchase_once_and_replays_all_of_them() {
    let place = Place::sqlite();
    let sums = json!({
        "purchases": 6919, "orders": 6919, "charges": 6919, "refunds": 0, "amount_cents": 24_409_194,
    });
    let first = report(&place, &[]);
    with(&first, sums.clone());
    // Four steps each; the killed process ran one of them.
    with(&first, json!({ "killed_at": "stock_reserved", "steps_run": 4 * 6919 - 1, "steps_skipped": 1 }));
    with(&first, json!({ "replayed": 1, "identical_replays": 1 }));
    let second = report(&place, &[]);
    with(&second, sums);
    with(&second, json!({ "killed_at": null, "steps_run": 0, "steps_skipped": 0 }));
    with(&second, json!({ "replayed": 6919, "identical_replays": 6919 }));
}

#[test]
fn a_demo_that_is_killed_goes_on_where_it_stopped() {
    let place = Place::sqlite();
    for after in [300, 1900, 2600] {
        let mut demo = place.command(&["demo", "--dir", "d", "--json", "--limit", "300"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        demo.kill().unwrap();
        demo.wait().unwrap();
    }
    with(&report(&place, &["--limit", "300"]), json!({ "orders": 300, "charges": 300, "refunds": 0 }));
}

#[test]
fn a_ledger_that_lost_a_line_is_found_out() {
    let place = Place::sqlite();
    report(&place, &["--limit", "5"]);
    let ledger = place.path().join("d/checkout.db.ledger.ndjson");
    let text = std::fs::read_to_string(&ledger).unwrap();
    let shorter: Vec<_> = text.lines().take(4).collect();
    std::fs::write(&ledger, shorter.join("\n") + "\n").unwrap();
    let output = place.run(&["demo", "--dir", "d", "--limit", "5"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("do not agree"));
}
