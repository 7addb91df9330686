//! The shop over HTTP: every row of its contract, by a real process, on both databases.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use checkout::Outcome;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kill::no_card_is_stored;
use super::place::{Place, on_both, until};
use super::server::{Came, DECLINED_CARD, Server, but, came, header, kind, order};
use super::stub::{Stub, Trouble};

on_both! {
    every_final_answer_is_replayed_over_a_restart: final_answers_on_sqlite, final_answers_on_postgres;
    what_is_refused_leaves_the_key_untouched: refusals_on_sqlite, refusals_on_postgres;
    a_server_killed_in_a_charge_loses_nothing: killed_in_a_charge_on_sqlite, killed_in_a_charge_on_postgres;
    a_duplicate_of_a_running_request_is_told_when_to_ask_again: duplicates_on_sqlite, duplicates_on_postgres;
    a_run_that_takes_too_long_goes_on_without_its_client: patience_on_sqlite, patience_on_postgres;
}

async fn every_final_answer_is_replayed_over_a_restart(place: &Place) {
    let mut server = Server::start_with(place, "127.0.0.1:0", &["--stock", "5"]).opened().await;
    let orders = [
        ("placed", order("o-1"), 201),
        ("declined", but(order("o-2"), "card", DECLINED_CARD), 402),
        ("out-of-stock", but(order("o-3"), "qty", 6), 409),
        ("order-exists", order("o-1"), 409),
        ("free", but(order("o-4"), "amount", 0), 201),
        ("dear", but(order("ö-5"), "amount", i64::MAX), 201),
    ];
    let mut first: Vec<Came> = Vec::new();
    for (key, order, status) in &orders {
        let response = server.checkout("acme", key, order).send().await.unwrap();
        assert_eq!(header(&response, "idempotency-key"), *key);
        assert_eq!(header(&response, "idempotent-replayed"), "");
        assert_eq!(header(&response, "retry-after"), "", "a final answer is not to be asked again");
        let answer = came(response).await;
        assert_eq!(answer.status, *status, "{key}: {answer:?}");
        if answer.status != 201 {
            assert_eq!(kind(&answer), *key);
        }
        first.push(answer);
    }
    assert!(server.terminate().success());
    let server = Server::start(place).opened().await;
    for ((key, order, _), first) in orders.iter().zip(&first) {
        let response = server.checkout("acme", &format!("\"{key}\""), order).send().await.unwrap();
        assert_eq!(header(&response, "idempotent-replayed"), "true");
        assert_eq!(header(&response, "idempotency-key"), format!("\"{key}\""));
        assert_eq!(came(response).await, *first, "{key}");
    }
    let other = came(server.checkout("other", "placed", &order("o-1")).send().await.unwrap()).await;
    assert_eq!(other.status, 201, "another tenant's key and orders are others");
    assert_ne!(other.body, first[0].body);
    let reused = came(server.checkout("acme", "placed", &order("o-9")).send().await.unwrap()).await;
    assert_eq!((reused.status, &*kind(&reused)), (422, "key-reused"));
    let refunds = ledger(place).iter().filter(|outcome| **outcome != Outcome::Captured).count();
    assert_eq!((ledger(place).len(), refunds), (5, 1), "four charges and a decline");
}

async fn what_is_refused_leaves_the_key_untouched(place: &Place) {
    let server = Server::start_with(place, "127.0.0.1:0", &["--body-limit", "1000"]).opened().await;
    let good = || server.checkout("acme", "k", &order("o-1"));
    let raw = |body: &str| {
        let request = server.post("/checkouts").bearer_auth("acme").header("idempotency-key", "k");
        request.header("content-type", "application/json").body(body.to_owned())
    };
    let text = || {
        let request = server.post("/checkouts").bearer_auth("acme").header("idempotency-key", "k");
        request.header("content-type", "text/plain").body(order("o-1").to_string())
    };
    let keyless = || server.post("/checkouts").bearer_auth("acme").json(&order("o-1"));
    let nobody = server.post("/checkouts").header("idempotency-key", "k").json(&order("o-1"));
    let unauthorized = nobody.send().await.unwrap();
    assert_eq!(header(&unauthorized, "www-authenticate"), "Bearer");
    assert_eq!((unauthorized.status().as_u16(), &*kind(&came(unauthorized).await)), (401, "unauthorized"));
    let refused = [
        (keyless(), 400, "key-missing"),
        (keyless().header("idempotency-key", ""), 400, "key-malformed"),
        (keyless().header("idempotency-key", "x".repeat(256)), 400, "key-malformed"),
        (good().header("idempotency-key", "k"), 400, "key-malformed"),
        (raw("{"), 400, "body"),
        (raw(r#"{"order_id":"a","order_id":"b"}"#), 400, "body"),
        (raw(&" ".repeat(1001)), 413, "too-large"),
        (text(), 415, "content-type"),
        (server.checkout("acme", "k", &json!({})), 422, "validation"),
        (server.checkout("acme", "k", &but(order("o-1"), "qty", "one")), 422, "validation"),
        (server.checkout("acme", "k", &but(order("o-1"), "qty", 0)), 422, "validation"),
        (server.checkout("acme", "k", &but(order("o-1"), "amount", -1)), 422, "validation"),
        (server.checkout("acme", "k", &but(order("o-1"), "currency", "XXZ")), 422, "validation"),
        (server.checkout("acme", "k", &but(order("o-1"), "card", "4242424242424241")), 422, "validation"),
        (
            server.get("/checkouts/status").bearer_auth("acme").header("idempotency-key", "k"),
            404,
            "key-unknown",
        ),
        (server.get("/checkouts"), 405, "method"),
        (server.get("/elsewhere"), 404, "not-found"),
    ];
    for (number, (request, status, problem)) in refused.into_iter().enumerate() {
        let answer = came(request.send().await.unwrap()).await;
        assert_eq!((answer.status, &*kind(&answer)), (status, problem), "request {number}: {answer:?}");
        let page = server.get(&format!("/problems/{problem}")).send().await.unwrap();
        assert_eq!(page.status(), 200, "the type of {problem} leads nowhere");
    }
    let placed = good().send().await.unwrap();
    assert_eq!((placed.status().as_u16(), header(&placed, "idempotent-replayed")), (201, ""));
    let status = server.get("/checkouts/status").bearer_auth("acme").header("idempotency-key", "\"k\"");
    let status: Value = status.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        status,
        json!({ "status": "finished", "recovery_point": "finished", "steps_done": 4, "steps_total": 4,
            "attempts": status["attempts"], "fence": 1 })
    );
}

async fn a_server_killed_in_a_charge_loses_nothing(place: &Place) {
    let server = Server::start_with(place, "127.0.0.1:0", &["--gateway-delay-ms", "60000"]).opened().await;
    let address = server.address();
    let lost = tokio::spawn(server.checkout("acme", "k", &order("o-1")).send());
    until(|| (ledger(place).len() == 1).then_some(())).await;
    let status = server.get("/checkouts/status").bearer_auth("acme").header("idempotency-key", "k");
    let status: Value = status.send().await.unwrap().json().await.unwrap();
    assert_eq!((&status["status"], &status["recovery_point"]), (&json!("running"), &json!("stock_reserved")));
    server.kill();
    assert!(lost.await.unwrap().is_err(), "the client never heard of its charge");
    let server = Server::start_with(place, &address, &[]).opened().await;
    let answers = (
        retried(|| server.checkout("acme", "k", &order("o-1"))).await,
        retried(|| server.checkout("acme", "k", &order("o-1"))).await,
    );
    assert_eq!(answers.0.status, 201);
    assert_eq!(answers.0, answers.1);
    assert_eq!(ledger(place), [Outcome::Captured, Outcome::Replayed], "one charge, asked for twice");
    no_card_is_stored(place).await;
}

async fn a_duplicate_of_a_running_request_is_told_when_to_ask_again(place: &Place) {
    let gateway = Stub::start(Trouble::Lingers).await;
    let server = Server::start_with(place, "127.0.0.1:0", &["--gateway-url", &gateway.url]).opened().await;
    let first = tokio::spawn(server.checkout("acme", "k", &order("o-1")).send());
    gateway.lingering().await;
    let duplicate = server.checkout("acme", "k", &order("o-1")).send().await.unwrap();
    assert!(header(&duplicate, "retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(kind(&came(duplicate).await), "in-progress");
    let different = came(server.checkout("acme", "k", &order("o-2")).send().await.unwrap()).await;
    assert_eq!(kind(&different), "key-reused", "at once, though the key is running");
    let asynchronous = server.checkout("acme", "k", &order("o-1")).header("prefer", "respond-async");
    let asynchronous = asynchronous.send().await.unwrap();
    assert_eq!(
        (asynchronous.status().as_u16(), header(&asynchronous, "location")),
        (202, "/checkouts/status")
    );
    let waits = tokio::spawn(server.checkout("acme", "k", &order("o-1")).header("prefer", "wait=30").send());
    gateway.let_through().await;
    let first = first.await.unwrap().unwrap();
    let waited = waits.await.unwrap().unwrap();
    assert_eq!((header(&first, "idempotent-replayed"), header(&waited, "idempotent-replayed")), ("", "true"));
    assert_eq!(came(first).await, came(waited).await);
    assert_eq!(gateway.calls().len(), 1);
}

async fn a_run_that_takes_too_long_goes_on_without_its_client(place: &Place) {
    let gateway = Stub::start(Trouble::Lingers).await;
    let more = ["--gateway-url", &gateway.url, "--patience-ms", "50"];
    let server = Server::start_with(place, "127.0.0.1:0", &more).opened().await;
    let late = server.checkout("acme", "k", &order("o-1")).send().await.unwrap();
    assert!(header(&late, "retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(kind(&came(late).await), "unavailable");
    gateway.let_through().await;
    let answer = retried(|| server.checkout("acme", "k", &order("o-1"))).await;
    assert_eq!(answer.status, 201);
    assert_eq!(gateway.calls().len(), 1, "the run went on");
}

/// Asks again as long as the answer says so.
async fn retried(request: impl Fn() -> reqwest::RequestBuilder) -> Came {
    let started = Instant::now();
    loop {
        let response = request().send().await.unwrap();
        if header(&response, "retry-after").is_empty() {
            return came(response).await;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no final answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn ledger(place: &Place) -> Vec<Outcome> {
    match checkout::ledger_lines(&place.ledger()) {
        Ok(lines) => lines.flatten().map(|line| line.outcome).collect(),
        Err(_) => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_a_server_finishes_what_is_under_way_and_takes_nothing_new() {
    let (place, gateway) = (Place::sqlite(), Stub::start(Trouble::Lingers).await);
    let more = ["--gateway-url", &gateway.url, "--patience-ms", "60000"];
    let mut server = Server::start_with(&place, "127.0.0.1:0", &more).opened().await;
    let under_way = tokio::spawn(server.checkout("acme", "k", &order("o-1")).send());
    gateway.lingering().await;
    server.signal(Signal::SIGTERM);
    let address = server.address();
    let started = Instant::now();
    while TcpStream::connect(&address).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(10), "it takes new connections");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.let_through().await;
    assert_eq!(under_way.await.unwrap().unwrap().status(), 201);
    assert!(server.wait().success());
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// The client has gone, and its run pauses before the next attempt: the lease is an hour.
#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_a_server_gives_its_leases_back() {
    let (place, gateway) = (Place::sqlite(), Stub::start(Trouble::IsBusy(2)).await);
    let more = ["--gateway-url", &gateway.url, "--lease-ms", "3600000", "--patience-ms", "50"];
    let mut server = Server::start_with(&place, "127.0.0.1:0", &more).opened().await;
    assert_eq!(server.checkout("acme", "k", &order("o-1")).send().await.unwrap().status(), 503);
    let started = Instant::now();
    assert!(server.terminate().success());
    assert!(started.elapsed() < Duration::from_secs(10));
    let key = place.lines(&["audit"]).pop().unwrap();
    assert_eq!((&key["status"], &key["recovery_point"]), (&json!("waiting"), &json!("stock_reserved")));
    let server = Server::start_with(&place, "127.0.0.1:0", &more).opened().await;
    assert_eq!(retried(|| server.checkout("acme", "k", &order("o-1"))).await.status, 201);
    assert_eq!(gateway.charges().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_twice_a_server_ends_at_once() {
    let (place, gateway) = (Place::sqlite(), Stub::start(Trouble::Lingers).await);
    let mut server =
        Server::start_with(&place, "127.0.0.1:0", &["--gateway-url", &gateway.url]).opened().await;
    let under_way = tokio::spawn(server.checkout("acme", "k", &order("o-1")).send());
    gateway.lingering().await;
    server.signal(Signal::SIGTERM);
    let log = place.path().join("serve.log");
    until(|| fs::read_to_string(&log).unwrap().contains("ending").then_some(())).await;
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success());
    assert!(under_way.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_its_database_and_says_so() {
    let place = Place::sqlite();
    let nowhere = "postgres://nobody:secret@127.0.0.1:9/nothing";
    let more = ["--database-url", nowhere, "--secret-key", &"5e".repeat(32), "--start-timeout-ms", "1500"];
    let mut server = Server::start_with(&place, "127.0.0.1:0", &more);
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), 200);
    let ready = server.get("/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let early = server.checkout("acme", "k", &order("o-1")).send().await.unwrap();
    assert_eq!(header(&early, "retry-after"), "1");
    assert_eq!(kind(&came(early).await), "unavailable");
    assert_eq!(server.wait().code(), Some(1));
    let log = fs::read_to_string(place.path().join("serve.log")).unwrap();
    assert!(log.contains("the database did not come within 1.5 s"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crash_button_is_there_only_when_it_was_asked_for() {
    let place = Place::sqlite();
    let server = Server::start(&place).opened().await;
    assert!(!server.get("/").send().await.unwrap().text().await.unwrap().contains("id=\"crash\""));
    assert_eq!(server.post("/crash").header("x-crash", "now").send().await.unwrap().status(), 404);
    server.kill();
    let mut server = Server::start_with(&place, "127.0.0.1:0", &["--crash-button"]).opened().await;
    let page = server.get("/").send().await.unwrap();
    let policy = header(&page, "content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(page.text().await.unwrap().contains("id=\"crash\""));
    assert_eq!(server.post("/crash").send().await.unwrap().status(), 403, "without the header of the page");
    assert!(server.post("/crash").header("x-crash", "now").send().await.is_err());
    server = server.opened().await;
    assert!(server.terminate().success(), "it ends with the one that it started again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_an_error_that_says_what_to_do() {
    let place = Place::sqlite();
    let server = Server::start(&place);
    let second =
        place.command(&["serve", "--listen", &server.address()]).stdout(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!((second.status.code(), second.status.signal()), (Some(1), None));
    assert!(said.contains("choose another address with --listen"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_document_is_served_and_no_card_is_in_the_log() {
    let place = Place::sqlite();
    let more = ["--log-format", "json"];
    let server = Server::start_with(&place, "127.0.0.1:0", &more).opened().await;
    let document: Value = server.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 6, "{paths:?}");
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let request = if method == "get" { server.get(path) } else { server.post(path) };
            let status = request.bearer_auth("acme").send().await.unwrap().status().as_u16();
            assert!(!matches!(status, 404 | 405 | 500..), "{method} {path}: {status}");
        }
    }
    assert_eq!(server.checkout("acme", "k", &order("o-1")).send().await.unwrap().status(), 201);
    assert!(server.checkout("acme", "k2", &but(order("o-2"), "qty", 0)).send().await.is_ok());
    drop(server);
    let log = fs::read_to_string(place.path().join("serve.log")).unwrap();
    let answered = |line: &Value| line["fields"]["message"] == "answered" && line["fields"]["status"] == 201;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(answered), "{log}");
    assert!(!log.contains("424242") && !log.contains("\"k\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_refused_before_it_is_sent() {
    let place = Place::sqlite();
    let server = Server::start(&place).opened().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /checkouts HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer acme\r\nidempotency-key: k\r\n\
        content-type: application/json\r\ncontent-length: 1048577\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_what_has_happened_and_never_to_whom() {
    let (place, gateway) = (Place::sqlite(), Stub::start(Trouble::Lingers).await);
    let more = ["--gateway-url", &gateway.url];
    let server = Server::start_with(&place, "127.0.0.1:0", &more).opened().await;
    let first = tokio::spawn(server.checkout("acme", "secret-key", &order("o-1")).send());
    gateway.lingering().await;
    let metrics = async || server.get("/metrics").send().await.unwrap().text().await.unwrap();
    let during = metrics().await;
    let unfinished = |text: &str, number: u32| {
        let line = "workflow_unfinished{workflow=\"checkout\",recovery_point=\"stock_reserved\"}";
        text.lines().any(|found| found == format!("{line} {number}"))
    };
    assert!(unfinished(&during, 1), "{during}");
    assert_eq!(server.checkout("acme", "secret-key", &order("o-1")).send().await.unwrap().status(), 409);
    assert_eq!(server.checkout("acme", "secret-key", &order("o-2")).send().await.unwrap().status(), 422);
    gateway.let_through().await;
    assert_eq!(first.await.unwrap().unwrap().status(), 201);
    assert_eq!(server.checkout("acme", "secret-key", &order("o-1")).send().await.unwrap().status(), 201);
    let after = metrics().await;
    assert!(unfinished(&after, 0), "{after}");
    for line in [
        "workflow_runs_total{workflow=\"checkout\",outcome=\"finished\"} 1",
        "workflow_steps_total{workflow=\"checkout\",step=\"capture_payment\",outcome=\"reached\"} 1",
        "workflow_replays_total 1",
        "workflow_conflicts_total 1",
        "workflow_mismatches_total 1",
        "workflow_takeovers_total 0",
        "workflow_outbox_pending 1",
        "workflow_needs_attention 0",
        "workflow_run_seconds_count{workflow=\"checkout\"} 1",
    ] {
        assert!(after.lines().any(|found| found == line), "{line} is not in {after}");
    }
    for name in
        ["workflow_step_seconds_bucket", "workflow_commit_batch_size_bucket", "workflow_leases_lost_total"]
    {
        assert!(after.contains(name), "{name} is not in {after}");
    }
    assert!(!after.contains("acme") && !after.contains("secret-key"), "{after}");
}
