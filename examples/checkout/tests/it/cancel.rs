//! `checkout cancel`: what a checkout has reached is undone, whoever has it, and no charge is kept.

use std::process::{Child, Command, Output};

use checkout::{CDNOW, read_purchases};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::kill::no_card_is_stored;
use super::place::{Place, good, lines, on_both, until};
use super::stub::{Stub, Trouble};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample.txt");
const TENANT: &str = "cdnow";

/// The steps of a checkout that was charged and cancelled, each with the point that it reached.
const GIVEN_BACK: [(&str, &str); 6] = [
    ("reserve_stock", "stock_reserved"),
    ("capture_payment", "payment_captured"),
    ("capture_payment", "capture_payment.cancelled"),
    ("undo:capture_payment", "capture_payment.undone"),
    ("undo:reserve_stock", "reserve_stock.undone"),
    ("capture_payment", "finished"),
];

/// The key of the first purchase of the file.
fn key() -> String {
    read_purchases(CDNOW).unwrap()[0].key(TENANT).unwrap().value().to_owned()
}

/// Places the first order of the file.
fn import(place: &Place, url: &str) -> Command {
    place.command(&["import", FILE, "--limit", "1", "--json", "--gateway-url", url])
}

fn cancel(place: &Place, url: &str) -> Command {
    place.command(&["cancel", "--json", "--tenant", TENANT, &key(), "--gateway-url", url])
}

/// Runs a program without keeping the stub from answering it.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

/// Cancels until nobody has the key any more: a dead process holds it for a second.
async fn cancelled(place: &Place, url: &str) -> Value {
    let outcome = lines(&good(output(cancel(place, url)).await).stdout).remove(0);
    assert_eq!((&outcome["outcome"], &outcome["response_code"]), (&"cancelled".into(), &409.into()));
    outcome
}

fn the_key(place: &Place) -> Value {
    let mut keys = place.lines(&["audit"]);
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

fn steps(key: &Value) -> Vec<(&str, &str)> {
    let steps = key["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["name"].as_str().unwrap(), step["recovery_point"].as_str().unwrap())).collect()
}

/// Neither order nor missing stock, and every further request is answered by the stored refusal.
async fn nothing_is_left(place: &Place, url: &str, outcome: &Value) {
    let key = the_key(place);
    assert_eq!((&key["status"], &key["response_code"]), (&"finished".into(), &409.into()), "{key}");
    assert_eq!(key["response_sha256"], outcome["response_sha256"]);
    assert!(key["cancel_requested_at"].is_string());
    assert!(place.lines(&["orders"]).is_empty() && place.lines(&["outbox"]).is_empty());
    for stock in place.lines(&["stock"]) {
        assert_eq!(stock["opening"], stock["left"]);
    }
    assert_eq!(cancelled(place, url).await, *outcome);
    let again = lines(&good(output(import(place, url)).await).stdout).remove(0);
    assert_eq!((&again["refused"], &again["replayed"]), (&1.into(), &1.into()), "{again}");
    no_card_is_stored(place).await;
}

/// The gateway was never there: nothing was charged, and nothing is asked of it.
async fn a_checkout_that_was_never_charged(place: &Place) {
    let nobody = "http://127.0.0.1:1";
    let mut import = import(place, nobody);
    import.args(["--line-patience-ms", "0"]);
    assert_eq!(output(import).await.status.code(), Some(1));
    let outcome = cancelled(place, nobody).await;
    let key = the_key(place);
    let expected = [GIVEN_BACK[0], GIVEN_BACK[2], GIVEN_BACK[4], GIVEN_BACK[5]];
    assert_eq!(steps(&key), expected);
    let failed = key["failed_attempts"].as_array().unwrap();
    assert!(!failed.is_empty() && failed.iter().all(|failed| failed["in_doubt"] == false), "{key}");
    nothing_is_left(place, nobody, &outcome).await;
}

/// Killed while its charge was under way: nobody knows of it but the gateway.
async fn a_checkout_whose_process_is_dead(place: &Place) {
    let stub = Stub::start(Trouble::Hangs).await;
    let mut import = import(place, &stub.url).spawn().unwrap();
    until(|| Some(stub.charges()).filter(|charges| charges.len() == 1)).await;
    import.kill().unwrap();
    import.wait().unwrap();
    let outcome = cancelled(place, &stub.url).await;
    assert_eq!(steps(&the_key(place)), GIVEN_BACK);
    assert_eq!((stub.charges().len(), stub.refunds().len(), stub.calls().len()), (1, 1, 2));
    assert_eq!(stub.calls()[0].effect_key, stub.calls()[1].effect_key);
    nothing_is_left(place, &stub.url, &outcome).await;
}

/// The process is alive, and its charge under way: it hears of the cancel, and gives back what it has charged.
async fn a_checkout_under_way(place: &Place) {
    let stub = Stub::start(Trouble::Lingers).await;
    let import = import(place, &stub.url).spawn().unwrap();
    stub.lingering().await;
    let mut early = cancel(place, &stub.url);
    early.args(["--patience-ms", "0"]);
    let early = output(early).await;
    assert_eq!(early.status.code(), Some(1));
    assert_eq!(lines(&early.stdout)[0]["outcome"], "in-progress");
    stub.let_through().await;
    let import = lines(&good(ended(import).await).stdout).remove(0);
    assert_eq!((&import["refused"], &import["replayed"]), (&1.into(), &0.into()), "{import}");
    let outcome = cancelled(place, &stub.url).await;
    assert_eq!(steps(&the_key(place)), GIVEN_BACK);
    assert_eq!((stub.charges().len(), stub.refunds().len(), stub.calls().len()), (1, 1, 1));
    nothing_is_left(place, &stub.url, &outcome).await;
}

/// A frozen process, whose charge is on its way for longer than its lease lasts: it arrives after the undo.
async fn a_checkout_whose_process_is_frozen(place: &Place) {
    let stub = Stub::start(Trouble::Lingers).await;
    let import = import(place, &stub.url).spawn().unwrap();
    stub.lingering().await;
    let process = Pid::from_raw(import.id().try_into().unwrap());
    kill(process, Signal::SIGSTOP).unwrap();
    let outcome = cancelled(place, &stub.url).await;
    assert_eq!((stub.charges().len(), stub.refunds().len()), (1, 1));

    stub.let_through().await;
    kill(process, Signal::SIGCONT).unwrap();
    let import = lines(&good(ended(import).await).stdout).remove(0);
    assert_eq!((&import["refused"], &import["placed"]), (&1.into(), &0.into()), "{import}");
    assert_eq!((stub.charges().len(), stub.refunds().len()), (1, 1), "the late charge is not kept");
    assert!(stub.calls().iter().all(|call| call.effect_key == stub.calls()[0].effect_key));
    assert_eq!(steps(&the_key(place)), GIVEN_BACK);
    nothing_is_left(place, &stub.url, &outcome).await;
}

async fn a_placed_order(place: &Place) {
    let stub = Stub::start(Trouble::Never).await;
    good(output(import(place, &stub.url)).await);
    let (orders, before) = (place.lines(&["orders"]), the_key(place));
    let late = output(cancel(place, &stub.url)).await;
    assert_eq!(late.status.code(), Some(1));
    let outcome = &lines(&late.stdout)[0];
    assert_eq!((&outcome["outcome"], &outcome["recovery_point"]), (&"too-late".into(), &"finished".into()));
    assert!(
        String::from_utf8_lossy(&late.stderr).contains("it is too late to cancel it; nothing has changed")
    );
    assert_eq!((place.lines(&["orders"]), the_key(place)), (orders, before));
    assert!(stub.refunds().is_empty());
}

/// The warehouse is away: the order stands, though the checkout is not finished.
async fn an_order_that_is_not_shipped(place: &Place) {
    let (stub, nobody) = (Stub::start(Trouble::Never).await, "http://127.0.0.1:1");
    let mut unshipped = import(place, &stub.url);
    unshipped.args(["--sink-url", nobody, "--line-patience-ms", "0"]);
    assert_eq!(output(unshipped).await.status.code(), Some(1));
    let late = output(cancel(place, &stub.url)).await;
    let outcome = &lines(&late.stdout)[0];
    assert_eq!(
        (&outcome["outcome"], &outcome["recovery_point"]),
        (&"too-late".into(), &"order_placed".into())
    );
    assert!(the_key(place)["cancel_requested_at"].is_null());
    let import = lines(&good(output(import(place, &stub.url)).await).stdout).remove(0);
    assert_eq!((&import["placed"], stub.refunds().len()), (&1.into(), 0), "{import}");
}

async fn an_unknown_key(place: &Place) {
    let unknown = output(cancel(place, "http://127.0.0.1:1")).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("is unknown"));
    assert!(place.lines(&["audit"]).is_empty());
}

on_both! {
    a_checkout_that_was_never_charged: a_checkout_that_was_never_charged_is_cancelled_without_a_charge_on_sqlite,
        a_checkout_that_was_never_charged_is_cancelled_without_a_charge_on_postgres;
    a_checkout_whose_process_is_dead: a_charge_of_a_dead_process_is_given_back_on_sqlite,
        a_charge_of_a_dead_process_is_given_back_on_postgres;
    a_checkout_under_way: a_charge_under_way_is_given_back_by_its_own_process_on_sqlite,
        a_charge_under_way_is_given_back_by_its_own_process_on_postgres;
    a_checkout_whose_process_is_frozen: a_charge_that_arrives_after_the_undo_is_not_kept_on_sqlite,
        a_charge_that_arrives_after_the_undo_is_not_kept_on_postgres;
    a_placed_order: a_placed_order_is_too_late_to_cancel_on_sqlite,
        a_placed_order_is_too_late_to_cancel_on_postgres;
    an_order_that_is_not_shipped: an_order_that_stands_is_too_late_to_cancel_on_sqlite,
        an_order_that_stands_is_too_late_to_cancel_on_postgres;
    an_unknown_key: an_unknown_key_is_not_cancelled_on_sqlite, an_unknown_key_is_not_cancelled_on_postgres;
}
