//! What the README says the reader will see.

use std::path::Path;
use std::process::Command;

#[test]
fn the_card_is_charged_once_and_every_answer_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(dir.path()).unwrap();
    let [charges, ran, replayed] = &first[..] else { panic!("{first:?}") };
    assert_eq!(charges, "the gateway charges 4200 cents");
    let body = ran.strip_prefix("replayed: false, ").unwrap();
    assert!(body.starts_with('{') && body.contains(r#""order":1"#), "{body}");
    assert_eq!(replayed, &format!("replayed: true, {body}"));

    let again = run(dir.path()).unwrap();
    assert_eq!(again, [replayed.clone(), replayed.clone()], "another process, the same file");
}

#[test]
fn the_program_is_short_enough_to_be_copied() {
    assert!(include_str!("../src/main.rs").lines().count() < 60);
}

fn run(dir: &Path) -> std::io::Result<Vec<String>> {
    let out = Command::new(env!("CARGO_BIN_EXE_quickstart")).current_dir(dir).output()?;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect())
}
