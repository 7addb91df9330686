//! The table, and its place in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use super::Failure;
use super::lineup::OURS;
use super::medians::{Medians, Row};

const BEGIN: &str = "<!-- peers:begin -->";
const END: &str = "<!-- peers:end -->";

const HEAD: &str = "\
| system | runs/s (min–max) | ours is | p50 / p99 ms | commits | statements | WAL B | table B | CPU µs |
|---|---|---|---|---|---|---|---|---|
";

/// All tables, with what has to be known to read them.
#[must_use]
pub fn text(medians: &Medians, rounds: u32, seconds: f64, date: &str, server: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!(
        "Measured on {date}: {cores} cores, shared by the program and the server; PostgreSQL {server}; the median of\n\
         {rounds} rounds of {seconds} s each, all systems in turn. Commits, statements, write-ahead log (WAL), growth of the\n\
         database (table) and the program's own CPU time are those of one run.\n"
    );
    for (store, name) in [("postgres", "PostgreSQL"), ("sqlite", "SQLite")] {
        for &in_flight in medians.in_flight() {
            let rows = medians.rows(store, in_flight);
            if !rows.is_empty() {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n### {name}, {in_flight} in flight\n\n{HEAD}");
                rows.iter().for_each(|row| text.push_str(&line(medians, row)));
            }
        }
    }
    text
}

fn line(medians: &Medians, row: &Row) -> String {
    let name = match &row.version {
        Some(version) => format!("{} {version}", row.name),
        None if row.name == OURS => format!("**{OURS}**"),
        None => row.name.to_owned(),
    };
    if let Some(why) = &row.not_installed {
        return format!("| {name} | not installed: {why} | | | | | | | |\n");
    }
    let failed = row.failed.as_ref();
    let failed =
        failed.map(|(times, of, why)| format!("failed in {times} of {of} rounds: {why}")).unwrap_or_default();
    let Some(runs) = row.runs else { return format!("| {name} | {failed} | | | | | | | |\n") };
    let speed = format!("{} ({}–{})", number(runs.median), number(runs.low), number(runs.high));
    let speed = if failed.is_empty() { speed } else { format!("{speed}; {failed}") };
    let ratio = medians.ratio(row).filter(|_| row.name != OURS);
    let ratio = ratio.map(|ratio| format!("{}×", number(ratio))).unwrap_or_default();
    let other = |at: usize| row.others.get(at).copied().flatten().map_or_else(|| "–".to_owned(), number);
    format!(
        "| {name} | {speed} | {ratio} | {} / {} | {} | {} | {} | {} | {} |\n",
        other(0),
        other(1),
        other(2),
        other(3),
        other(4),
        other(5),
        other(6),
    )
}

/// With as many digits as a measurement is worth.
fn number(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Puts the text between the markers.
///
/// # Errors
/// The file system's, and [`Failure::NoMarker`].
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::File(path.to_owned(), error);
    let old = std::fs::read_to_string(path).map_err(failed)?;
    let new = between(&old, text).map_err(|marker| Failure::NoMarker(path.to_owned(), marker))?;
    std::fs::write(path, new).map_err(failed)
}

fn between(old: &str, text: &str) -> Result<String, &'static str> {
    let (before, rest) = old.split_once(BEGIN).ok_or(BEGIN)?;
    let (_, after) = rest.split_once(END).ok_or(END)?;
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let old = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = between(&old, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(between(&new, "new").unwrap(), new);
        assert_eq!(between("a", "new"), Err(BEGIN));
    }

    #[test]
    fn a_number_has_three_digits_or_all_before_the_point() {
        let numbers = [0.1234, 12.34, 1234.5].map(number);
        assert_eq!(numbers, ["0.12", "12.3", "1234"]);
    }
}
