//! The charts, drawn by the main workspace's program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::Failure;
use super::medians::{Medians, Row};

/// Draws the bars of one store.
///
/// # Errors
/// [`Failure::Chart`].
pub fn draw(root: &Path, store: &str, title: &str, medians: &Medians) -> Result<(), Failure> {
    let bars = bars(store, medians);
    if bars.is_empty() {
        return Ok(());
    }
    let folder = root.join("docs/charts");
    std::fs::create_dir_all(&folder).map_err(|error| Failure::File(folder.clone(), error))?;
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["run", "--release", "--quiet", "-p", "benches", "--bin", "chart", "--"]);
    command.args(["--kind", "bars", "--title", &format!("Five durable steps on {title}")]);
    command.args(["--x-label", "system", "--y-label", "runs a second", "--log-y", "--out"]);
    command.arg(folder.join(format!("peers-{store}.svg"))).stdin(Stdio::piped());
    let failed = |error: std::io::Error| Failure::Chart(error.to_string());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(bars.as_bytes()).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(Failure::Chart(status.to_string())) }
}

/// One JSON object a line. The order is the same for every number in flight: that of the first.
fn bars(store: &str, medians: &Medians) -> String {
    let mut lines = String::new();
    let order: Vec<&str> = medians
        .in_flight()
        .first()
        .map_or_else(Vec::new, |first| medians.rows(store, *first).into_iter().map(|row| row.name).collect());
    for &in_flight in medians.in_flight() {
        let mut rows = medians.rows(store, in_flight);
        rows.sort_by_key(|row| order.iter().position(|name| *name == row.name));
        lines.extend(rows.into_iter().filter_map(bar));
    }
    lines
}

fn bar(row: &Row) -> Option<String> {
    let runs = row.runs?;
    let series = format!("{} in flight", row.in_flight);
    Some(format!(
        "{}\n",
        json!({
            "series": series, "x": row.name, "y": runs.median, "low": runs.low, "high": runs.high,
        })
    ))
}
