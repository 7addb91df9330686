//! The gateway as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::place::{Place, good};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample.txt");

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(place: &Place) -> Self {
        let mut child = place.command(&["gateway", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn sent(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn charge(client: &Client, gateway: &Process, key: &str, amount: i64, card: &str) -> RequestBuilder {
    let body = json!({ "order_id": "o-1", "amount": amount, "currency": "USD", "card": card });
    client.post(format!("{}/charges", gateway.url)).header("Idempotency-Key", key).json(&body)
}

#[tokio::test]
async fn a_killed_gateway_forgets_nothing() {
    let (place, client) = (Place::sqlite(), Client::new());
    let gateway = Process::start(&place);
    let (status, first) = sent(charge(&client, &gateway, "a", 5, "4242424242424242")).await;
    assert_eq!(status, 201);
    assert_eq!(sent(charge(&client, &gateway, "d", 5, "4000000000000002")).await.0, 402);
    drop(gateway);
    let gateway = Process::start(&place);
    assert_eq!(sent(charge(&client, &gateway, "a", 5, "4242424242424242")).await, (201, first.clone()));
    assert_eq!(sent(charge(&client, &gateway, "a", 6, "4242424242424242")).await.0, 400);
    assert_eq!(sent(charge(&client, &gateway, "", 6, "4242424242424242")).await.0, 400);
    let find = |key: &str| client.get(format!("{}/charges?key={key}", gateway.url));
    let (status, found) = sent(find("a")).await;
    assert_eq!((status, &found["charge_id"]), (200, &first["charge_id"]));
    assert_eq!(sent(find("d")).await.0, 404);
    let refund = |key: &str| {
        client.post(format!("{}/refunds", gateway.url)).header("Idempotency-Key", key).json(&first)
    };
    let (status, refunded) = sent(refund("r")).await;
    assert_eq!(status, 201);
    assert_eq!(sent(refund("r")).await, (201, refunded));
    assert_eq!(sent(refund("s")).await.0, 400);
    assert_eq!(sent(find("a")).await.1["refunded"], true);
    let ledger = std::fs::read_to_string(place.ledger()).unwrap();
    assert!(!ledger.contains("42424242") && !ledger.contains("40000000"), "{ledger}");
}

#[tokio::test]
async fn a_gateway_ends_politely() {
    let mut gateway = Process::start(&Place::sqlite());
    kill(Pid::from_raw(gateway.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(gateway.child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_charges_through_a_gateway_that_is_killed() {
    let place = Place::sqlite();
    let gateway = Process::start(&place);
    let at = gateway.url.strip_prefix("http://").unwrap().to_owned();
    let import =
        place.command(&["import", FILE, "--limit", "300", "--gateway-url", &gateway.url]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    drop(gateway);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut again = place.command(&["gateway", "--listen", &at]).spawn().unwrap();
    good(import.wait_with_output().unwrap());
    again.kill().unwrap();
    again.wait().unwrap();
    let captured = checkout::ledger_lines(&place.ledger())
        .unwrap()
        .filter(|line| line.as_ref().unwrap().outcome == checkout::Outcome::Captured);
    assert_eq!((captured.count(), place.lines(&["orders"]).len()), (300, 300));
}
