//! The program: what it says, and how it stops.

use std::process::Stdio;
use std::time::Duration;

use crate::desk::Customer;
use crate::place::{Place, number, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_in_one_line_where_it_listens_and_without_colours() {
    let place = Place::sqlite();
    let server = place.server(&[]);
    assert_eq!(server.line, format!("listening on {}\n", server.base));
    assert_eq!(Customer::of(&server.base).orders().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_answers_first_what_is_under_way() {
    let place = Place::sqlite();
    let mut server = place.server(&["--payment-delay-ms", "1000"]);
    let customer = Customer::of(&server.base);
    let cart = customer.ready("variant_shirt", 1, "manual").await;
    let running = tokio::spawn(async move { customer.complete(&cart, Some("k-1")).await });
    until(&place.store().await, "SELECT count(*) FROM medusa_provider_book", 1).await;
    let pid = server.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(running.await.unwrap().body["type"], "order");
    let started = std::time::Instant::now();
    let ended = loop {
        match server.child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(started.elapsed() < Duration::from_secs(30), "it does not stop"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(ended.success(), "{ended}");
    assert_eq!(number(&place.store().await, "SELECT count(*) FROM medusa_orders").await, 1);
}

#[test]
fn wrong_usage_is_told_on_standard_error_and_ends_with_2() {
    let place = Place::sqlite();
    let wrong = ["--database-url", "mysql://nobody"];
    let output = place.command(&wrong).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: the database URL") && !said.contains('\u{1b}'), "{said}");
    let help = place.command(&["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("adopt") && help.contains("--listen") && !help.contains("delay"), "{help}");
}

#[test]
fn an_adoption_without_medusas_table_says_what_is_missing() {
    let place = Place::sqlite();
    let output = place.command(&["adopt"]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the table idempotency_key cannot be read"), "{said}");
}
