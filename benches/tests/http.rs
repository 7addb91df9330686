//! A smoke of the program that measures the contract over HTTP.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_way_through_the_server_is_measured() {
    let arguments = ["--store", "sqlite", "--seconds", "0.2", "--rounds", "1", "--in-flight", "2", "--json"];
    let output = Command::new(env!("CARGO_BIN_EXE_http")).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    let report: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let ways = report["ways"].as_array().unwrap();
    let names: Vec<_> = ways.iter().map(|way| way["way"].as_str().unwrap()).collect();
    let expected = ["handler alone", "layer, first", "layer, replay", "workflow, first", "workflow, replay"];
    assert_eq!(names, expected);
    for way in ways {
        assert!(way["requests_per_s"].as_f64().unwrap() > 0.0, "{way}");
    }
}
