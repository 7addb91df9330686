//! The command line: exit codes, and errors that say what to do.

use std::fs;
use std::process::Output;

use super::place::{Place, good};

fn says(output: &Output, code: i32, text: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(text), "{text:?} is not in {said:?}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let place = Place::sqlite();
    let file = place.path().join("p.txt");
    fs::write(&file, "4 1 19970101 2 29.33\n").unwrap();
    let file = file.to_str().unwrap();
    says(&place.run(&["import"]), 2, "FILE");
    says(&place.run(&["no-such-command"]), 2, "no-such-command");
    says(&place.run(&["migrate", "--database-url", "mysql://x"]), 2, "neither of SQLite nor of PostgreSQL");
    says(&place.run(&["migrate", "--database-url", "sqlite::memory:"]), 2, "forgets");
    says(&place.run(&["import", file, "--lease-ms", "100", "--heartbeat-ms", "90"]), 2, "heartbeats");
    says(&place.run(&["import", file, "--tenant", ""]), 1, "empty");
    let secret = place.run(&["import", file, "--secret-key", "abc123"]);
    says(&secret, 2, "64 hex digits");
    assert!(!String::from_utf8_lossy(&secret.stderr).contains("abc123"));
}

#[test]
fn a_bad_line_is_named_and_nothing_is_imported() {
    let place = Place::sqlite();
    let file = place.path().join("p.txt");
    fs::write(&file, b"4 1 19970101 2 29.33\n\xff\xfe\n4 1 19970101 0 1.00\n").unwrap();
    let output = place.run(&["import", file.to_str().unwrap()]);
    says(&output, 1, "line 2 is not UTF-8, line 3 breaks a rule of orders: qty");
    assert!(place.lines(&["orders"]).is_empty());
    says(&place.run(&["import", "no-such-file"]), 1, "no-such-file cannot be read");
}

#[test]
fn a_lost_key_file_is_an_error_and_not_a_new_key() {
    let place = Place::sqlite();
    let file = place.path().join("p.txt");
    fs::write(&file, "4 1 19970101 2 29.33\n").unwrap();
    let import = ["import", file.to_str().unwrap()];
    good(place.run(&import));
    let key = place.path().join("shop.db.key");
    let saved = place.path().join("saved");
    fs::rename(&key, &saved).unwrap();
    says(&place.run(&import), 1, "key file");
    says(&place.run(&["audit"]), 1, "key file");
    assert!(!key.exists());
    fs::rename(&saved, &key).unwrap();
    assert_eq!(place.lines(&["import", import[1], "--json"])[0]["replayed"], 1);
}

#[test]
fn a_new_key_before_the_old_one_changes_no_answer() {
    let place = Place::sqlite();
    let file = place.path().join("p.txt");
    fs::write(&file, "4 1 19970101 2 29.33\n").unwrap();
    let (old, new) = ("ab".repeat(32), "cd".repeat(32));
    let import =
        |keys: &str| place.lines(&["import", file.to_str().unwrap(), "--json", "--secret-key", keys]);
    assert_eq!(import(&old)[0]["placed"], 1);
    assert_eq!(import(&format!("{new},{old}"))[0]["replayed"], 1);
    let wrong = place.run(&["import", file.to_str().unwrap(), "--secret-key", &new]);
    says(&wrong, 1, "different request");
}

#[test]
fn without_tables_nothing_is_begun() {
    let place = Place::sqlite();
    says(&place.run(&["orders", "--no-migrate"]), 1, "migration");
    good(place.run(&["migrate"]));
    good(place.run(&["orders", "--no-migrate", "--json"]));
}

fn sixteen_processes_migrate_at_once(place: &Place) {
    let started: Vec<_> = (0..16).map(|_| place.command(&["migrate"]).spawn().unwrap()).collect();
    for process in started {
        good(process.wait_with_output().unwrap());
    }
    assert!(place.lines(&["stock", "--no-migrate"]).is_empty());
}

#[test]
fn sixteen_processes_migrate_at_once_on_sqlite() {
    sixteen_processes_migrate_at_once(&Place::sqlite());
}

#[tokio::test]
async fn sixteen_processes_migrate_at_once_on_postgres() {
    let place = Place::postgres().await;
    sixteen_processes_migrate_at_once(&place);
    place.close().await;
}

#[tokio::test]
async fn on_postgres_ledger_and_secret_must_be_given() {
    let place = Place::postgres().await;
    let file = place.path().join("p.txt");
    fs::write(&file, "4 1 19970101 2 29.33\n").unwrap();
    for (missing, said) in [("CHECKOUT_SECRET_KEY", "secret key"), ("CHECKOUT_LEDGER", "ledger")] {
        let mut import = place.command(&["import", file.to_str().unwrap()]);
        says(&import.env_remove(missing).output().unwrap(), 2, said);
    }
    place.close().await;
}
