//! Starts one program for one measurement and takes its last line.

use std::process::Stdio;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use super::lineup::{Start, System};
use super::{Failure, Outcome};

/// What is asked of it.
pub struct Run<'a> {
    /// Which round it is.
    pub round: u32,
    /// So many runs at once.
    pub in_flight: usize,
    /// How long it counts.
    pub seconds: f64,
    /// Why there is no Python with the peers.
    pub no_python: Option<&'a str>,
}

/// Opening, warming up, draining and closing take so long at most; then the program is killed.
const BESIDES: Duration = Duration::from_secs(120);
/// So much of what a program says when it fails goes into the table.
const WORDS: usize = 200;

/// The version of the server.
///
/// # Errors
/// The server's.
pub async fn server_version(url: &str) -> Result<String, Failure> {
    let mut connection = PgConnection::connect(url).await?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(version.split_whitespace().next().unwrap_or_default().to_owned())
}

/// One measurement. Whatever goes wrong is an outcome.
pub async fn measure(system: &System, run: &Run<'_>) -> Outcome {
    if let (Start::Python { .. }, Some(why)) = (&system.start, run.no_python) {
        return Outcome::NotInstalled(why.to_owned());
    }
    let mut command = command(system, run);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let longest = BESIDES + Duration::from_secs_f64(run.seconds);
    let output = match tokio::time::timeout(longest, command.output()).await {
        Err(_) => return Outcome::Failed(format!("did not end within {} s", longest.as_secs())),
        Ok(Err(error)) => return Outcome::Failed(error.to_string()),
        Ok(Ok(output)) => output,
    };
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Outcome::Failed(last_words(&complained).unwrap_or_else(|| output.status.to_string()));
    }
    figures(&said).unwrap_or_else(|error| Outcome::Failed(format!("its last line cannot be read: {error}")))
}

fn command(system: &System, run: &Run<'_>) -> Command {
    let (mut command, database) = match &system.start {
        Start::Ours { root } => {
            let mut command = Command::new("cargo");
            command.current_dir(root).args([
                "run",
                "--release",
                "--quiet",
                "-p",
                "benches",
                "--bin",
                "throughput",
                "--",
            ]);
            command.args(["--store", system.store, "--workload", "foreign5", "--json"]);
            (command, &None)
        }
        Start::Program { path, database } => (Command::new(path), database),
        Start::Python { python, path, database } => {
            let mut command = Command::new(python);
            command.arg(path);
            (command, database)
        }
    };
    command.args(["--in-flight", &run.in_flight.to_string(), "--seconds", &run.seconds.to_string()]);
    if let Some(database) = database {
        command.args(["--database", database]);
    }
    command
}

fn figures(said: &str) -> Result<Outcome, serde_json::Error> {
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let whole: serde_json::Value = serde_json::from_str(line)?;
    Ok(Outcome::Figures(Box::new(serde_json::from_value(whole.clone())?), whole))
}

/// The last line that it said, without passwords: an error may name the URL.
fn last_words(complained: &str) -> Option<String> {
    let line = complained.lines().rev().find(|line| !line.trim().is_empty())?;
    let line = line.strip_prefix("error: ").unwrap_or(line).replace('|', "/");
    let words = line.split_whitespace().map(|word| if word.contains("://") { "(URL)" } else { word });
    Some(words.collect::<Vec<_>>().join(" ").chars().take(WORDS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_and_nothing_else() {
        let line = r#"{"runs_per_s": 10.5, "p50_ms": 1, "p99_ms": 2, "commits_per_run": null}"#;
        let Ok(Outcome::Figures(figures, _)) = figures(&format!("hello\n{line}\n")) else {
            panic!("not read")
        };
        assert!((figures.runs_per_s - 10.5).abs() < f64::EPSILON && figures.commits_per_run.is_none());
        assert!(super::figures("hello").is_err());
    }

    #[test]
    fn a_url_does_not_get_into_the_table() {
        let said = "a\nerror: cannot reach postgres://u:secret@h/d | sorry\n\n";
        assert_eq!(last_words(said).unwrap(), "cannot reach (URL) / sorry");
        assert!(last_words("\n").is_none());
    }
}
