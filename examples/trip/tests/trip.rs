//! What the README says the reader will see.

use std::process::Command;

#[test]
fn what_cannot_be_had_as_a_whole_is_cancelled_in_reverse_order() {
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_trip")).current_dir(dir.path()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let (lisbon, rest) = said.split_once("Reykjavik\n").unwrap();
    assert!(lisbon.ends_with("  201\n"), "{said}");
    let (reykjavik, end) = rest.split_once("booked in the end: ").unwrap();
    assert!(reykjavik.ends_with("  409\n"), "{said}");
    let place = |line: &str| reykjavik.find(line).unwrap_or_else(|| panic!("{line}: {said}"));
    let order = ["hotel: booked", "flight: booked", "car: sold out", "flight: cancelled", "hotel: cancelled"]
        .map(place);
    assert!(order.is_sorted(), "{said}");
    let mut booked: Vec<_> = end.trim().trim_matches(['[', ']']).split(", ").collect();
    booked.sort_unstable();
    assert_eq!(booked, [r#""car in Lisbon""#, r#""flight in Lisbon""#, r#""hotel in Lisbon""#]);
}

#[test]
fn the_program_is_short_enough_to_be_read() {
    assert!(include_str!("../src/main.rs").lines().count() < 150);
}
