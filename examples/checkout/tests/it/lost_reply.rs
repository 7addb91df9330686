//! A gateway that charges and is not heard, that is busy, or that is away: every order is charged once.

use std::process::{Command, Output};

use serde_json::Value;
use workflow::Runner;
use workflow::seam::Filter;

use super::kill::no_card_is_stored;
use super::place::{Place, good, on_both, on_store, until};
use super::stub::{Stub, Trouble};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample.txt");
const ORDERS: usize = 3;

fn import(place: &Place, url: &str, more: &[&str]) -> Command {
    place.command(&[&["import", FILE, "--limit", "3", "--gateway-url", url], more].concat())
}

/// Runs a program without keeping the stub from answering it.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn failed(key: &Value) -> &Vec<Value> {
    key["failed_attempts"].as_array().unwrap()
}

/// Returns as soon as every key of the audit is so.
async fn all_keys(place: &Place, so: impl Fn(&Value) -> bool) {
    let keys = || place.lines(&["audit"]);
    until(|| Some(keys()).filter(|keys| keys.len() == ORDERS && keys.iter().all(&so))).await;
}

/// Every order stands with its only charge; its calls counted up under one effect key.
fn every_order_was_charged_once(place: &Place, stub: &Stub) {
    let (orders, charges) = (place.lines(&["orders"]), stub.charges());
    assert_eq!((orders.len(), charges.len()), (ORDERS, ORDERS));
    for order in &orders {
        let order_id = order["order_id"].as_str().unwrap();
        assert_eq!(order["charge_id"], charges[order_id]);
        let calls: Vec<_> = stub.calls().into_iter().filter(|call| call.order_id == order_id).collect();
        assert!(calls.iter().all(|call| call.effect_key == calls[0].effect_key), "{calls:?}");
        let counted = (calls[0].attempt..).take(calls.len());
        assert!(calls.iter().map(|call| call.attempt).eq(counted), "{calls:?}");
    }
    for key in place.lines(&["audit"]) {
        assert_eq!((&key["status"], &key["response_code"]), (&"finished".into(), &201.into()));
        for (i, attempt) in failed(&key).iter().enumerate() {
            assert_eq!(attempt["step"], "capture_payment");
            assert_eq!(attempt["attempt"], i + 1);
            assert!(attempt["fence"].as_i64().unwrap() >= 1 && attempt["failed_at"].is_string());
            assert!(attempt["error"].as_str().unwrap().contains("the gateway"), "{attempt}");
        }
    }
}

async fn after(place: &Place, trouble: Trouble, in_doubt: bool) {
    let stub = Stub::start(trouble).await;
    let mut import = import(place, &stub.url, &[]);
    if trouble == Trouble::Hangs {
        import.env("CHECKOUT_STEP_TIMEOUT_MS", "1000");
    }
    good(output(import).await);
    every_order_was_charged_once(place, &stub);
    for key in place.lines(&["audit"]) {
        let calls = failed(&key).len() + 1;
        assert!(calls >= 2 && failed(&key)[0]["in_doubt"] == in_doubt, "{key}");
        assert_eq!(key["steps"][1]["attempts"], calls);
    }
    assert!(stub.calls().iter().filter(|call| call.attempt == 1).count() == ORDERS);
    no_card_is_stored(place).await;
}

async fn a_charge_that_is_answered_500(place: &Place) {
    after(place, Trouble::Fails, true).await;
}

async fn a_charge_whose_answer_cannot_be_read(place: &Place) {
    after(place, Trouble::Mumbles, true).await;
}

async fn a_charge_that_is_never_answered(place: &Place) {
    after(place, Trouble::Hangs, true).await;
}

async fn a_charge_whose_connection_is_dropped(place: &Place) {
    after(place, Trouble::HangsUp, true).await;
}

async fn a_gateway_that_is_busy(place: &Place) {
    after(place, Trouble::IsBusy(1), false).await;
    for key in place.lines(&["audit"]) {
        let at = |time: &Value| chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
        let steps = &key["steps"];
        let waited = at(&steps[1]["reached_at"]) - at(&steps[0]["reached_at"]);
        assert!(waited >= chrono::TimeDelta::seconds(1), "asked again after {waited}");
    }
}

async fn a_gateway_that_is_away(place: &Place) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let import = import(place, &format!("http://{free}"), &[]).spawn().unwrap();
    all_keys(place, |key| !failed(key).is_empty()).await;
    let stub = Stub::start_at(&free, Trouble::Never).await;
    good(tokio::task::spawn_blocking(|| import.wait_with_output().unwrap()).await.unwrap());
    every_order_was_charged_once(place, &stub);
    assert_eq!(stub.calls().len(), ORDERS);
    for key in place.lines(&["audit"]) {
        assert!(failed(&key).iter().all(|attempt| attempt["in_doubt"] == false), "{key}");
    }
}

async fn a_key_that_waits(place: &Place) {
    let stub = Stub::start(Trouble::IsBusy(3600)).await;
    let import = import(place, &stub.url, &[]).spawn().unwrap();
    all_keys(place, |key| key["status"] == "waiting").await;
    // A person need not wait for an hour, and nor does the import.
    on_store!(place, store => {
        let runner = Runner::builder(store, ()).codec(secret(place).codec().unwrap()).build().unwrap();
        for key in runner.list(&Filter::default()).await.unwrap() {
            assert!(runner.unpark(&key.key).await.unwrap());
        }
    });
    good(tokio::task::spawn_blocking(|| import.wait_with_output().unwrap()).await.unwrap());
    every_order_was_charged_once(place, &stub);
}

/// The keys under which the program has sealed what it stored.
fn secret(place: &Place) -> checkout::SecretKeys {
    match place.is_postgres() {
        true => "5e".repeat(32).parse().unwrap(),
        false => checkout::SecretKeys::read(&place.path().join("shop.db.key")).unwrap().unwrap(),
    }
}

async fn an_import_whose_patience_is_over(place: &Place) {
    let stub = Stub::start(Trouble::IsBusy(3600)).await;
    let ended = output(import(place, &stub.url, &["--line-patience-ms", "100"])).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for line in 1..=ORDERS {
        assert!(said.contains(&format!("line {line}: ")) && said.contains("waits for its next"), "{said}");
    }
    assert!(stub.charges().is_empty());
    all_keys(place, |key| key["status"] == "waiting").await;
}

async fn a_gateway_that_refuses_the_key(place: &Place) {
    let stub = Stub::start(Trouble::Refuses).await;
    let ended = output(import(place, &stub.url, &["--line-patience-ms", "0"])).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("a person has to decide"), "{said}");
    assert_eq!(stub.calls().len(), ORDERS, "a key that is refused was asked for again");
    for key in place.lines(&["audit"]) {
        assert_eq!((&key["status"], &key["response_code"]), (&"needs_attention".into(), &Value::Null));
        assert_eq!(failed(&key)[0]["in_doubt"], true);
    }
    // Nobody took the order for refused.
    assert_eq!(place.lines(&["orders"]).len(), ORDERS);
}

on_both! {
    a_charge_that_is_answered_500: a_charge_that_is_answered_500_is_made_once_on_sqlite,
        a_charge_that_is_answered_500_is_made_once_on_postgres;
    a_charge_whose_answer_cannot_be_read: a_charge_whose_answer_cannot_be_read_is_made_once_on_sqlite,
        a_charge_whose_answer_cannot_be_read_is_made_once_on_postgres;
    a_charge_that_is_never_answered: a_charge_that_is_never_answered_is_made_once_on_sqlite,
        a_charge_that_is_never_answered_is_made_once_on_postgres;
    a_charge_whose_connection_is_dropped: a_charge_whose_connection_is_dropped_is_made_once_on_sqlite,
        a_charge_whose_connection_is_dropped_is_made_once_on_postgres;
    a_gateway_that_is_busy: a_gateway_that_is_busy_is_asked_again_when_it_says_on_sqlite,
        a_gateway_that_is_busy_is_asked_again_when_it_says_on_postgres;
    a_gateway_that_is_away: a_gateway_that_is_away_is_waited_for_on_sqlite,
        a_gateway_that_is_away_is_waited_for_on_postgres;
    a_key_that_waits: a_key_that_waits_is_waited_for_and_may_be_let_go_on_sqlite,
        a_key_that_waits_is_waited_for_and_may_be_let_go_on_postgres;
    an_import_whose_patience_is_over: an_import_whose_patience_is_over_names_its_lines_on_sqlite,
        an_import_whose_patience_is_over_names_its_lines_on_postgres;
    a_gateway_that_refuses_the_key: a_key_that_the_gateway_refuses_is_parked_at_once_on_sqlite,
        a_key_that_the_gateway_refuses_is_parked_at_once_on_postgres;
}
