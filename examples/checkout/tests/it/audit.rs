//! What the audit says of keys that are not finished.

use serde_json::Value;

use super::place::Place;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample.txt");

#[test]
fn a_step_that_has_begun_is_listed_without_a_time_of_reaching() {
    let place = Place::sqlite();
    // Nobody listens there: the step fails until the import is killed.
    let mut import = place.command(&["import", FILE, "--limit", "1", "--gateway-url", "http://127.0.0.1:1"]);
    let mut import = import.spawn().unwrap();
    let key = loop {
        std::thread::sleep(std::time::Duration::from_millis(50));
        match place.lines(&["audit"]).pop() {
            Some(key) if key["recovery_point"] == "stock_reserved" => break key,
            _ => {}
        }
    };
    import.kill().unwrap();
    import.wait().unwrap();
    assert_eq!((&key["status"], &key["response_code"]), (&"running".into(), &Value::Null));
    let steps = key["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2);
    assert!(steps[0]["reached_at"].is_string());
    assert_eq!(steps[1]["name"], "capture_payment");
    assert_eq!(
        (&steps[1]["recovery_point"], &steps[1]["reached_at"]),
        (&"payment_captured".into(), &Value::Null)
    );
    assert!(steps[1]["attempts"].as_i64().unwrap() >= 1);
    let at = steps[1]["first_attempt_at"].as_str().unwrap();
    assert!(at.len() == "2026-01-01T00:00:00.000000Z".len() && at.ends_with('Z'), "{at}");
    assert_eq!(place.lines(&["orders"]).pop().unwrap()["charge_id"], Value::Null);
}
