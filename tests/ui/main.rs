//! Compile errors are part of the API: each is pinned, in the user's words.
//!
//! They are the words of one compiler; another says the same a little differently, so there they are not compared.
//! After a change on purpose `TRYBUILD=overwrite cargo test -p ui-tests` writes them anew: read them before you commit.

use std::process::Command;

/// The compiler whose messages are pinned.
const RUSTC: &str = "rustc 1.95.";

const WRONG: [&str; 18] = [
    "wrong_order",
    "wrong_order_of_foreign",
    "step_after_the_response",
    "no_response",
    "no_build",
    "atomic_given_to_foreign",
    "foreign_given_to_atomic",
    "not_send",
    "missing_step",
    "missing_step_of_response",
    "no_recovery_point",
    "error_that_is_none",
    "value_given_to_with",
    "another_connection",
    "another_request",
    "undo_with_the_wrong_data",
    "undo_of_the_answer",
    "undo_that_returns_a_point",
];

#[test]
fn a_right_workflow_compiles_and_a_wrong_one_says_why_not() {
    let cases = trybuild::TestCases::new();
    cases.pass("cases/checkout.rs");
    let rustc = rustc().unwrap();
    if !rustc.starts_with(RUSTC) {
        eprintln!("the messages are pinned for {RUSTC}x and not compared with those of {rustc}");
        return;
    }
    for wrong in WRONG {
        cases.compile_fail(format!("cases/{wrong}.rs"));
    }
}

#[test]
fn every_case_is_listed() {
    let mut listed: Vec<_> = WRONG.iter().map(|wrong| format!("{wrong}.stderr")).collect();
    let files =
        std::fs::read_dir("cases").unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut pinned: Vec<_> = files.filter(|name| name.ends_with(".stderr")).collect();
    listed.sort();
    pinned.sort();
    assert_eq!(pinned, listed);
}

fn rustc() -> std::io::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output()?.stdout;
    Ok(String::from_utf8_lossy(&version).trim().to_owned())
}
