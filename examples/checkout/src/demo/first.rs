//! The first purchase: placed by a process that is killed, resumed by this one, replayed.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use workflow::seam::Status;
use workflow::{Answered, Error, Key, Runner};
use workflow_sqlite::Sqlite;

use super::child::CHARGED;
use super::say::Say;
use crate::failure::Failure;
use crate::figures::{dollars, sha256};
use crate::ledger::{self, Line};
use crate::purchase::Purchase;
use crate::shop::Shop;
use crate::steps::checkout;

/// How long the key is waited for: a killed process's lease is 1.5 s, the pause before an attempt up to a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(90);
/// SIGKILL.
const KILL: i32 = 9;

/// Places the purchase in a process that is killed; the recovery point at which the key then stands. `None` if
/// there was nothing to kill: the key was finished, or an earlier demo had got past the charge.
pub(super) async fn killed_at(
    runner: &Runner<Sqlite, Shop>,
    key: &Key,
    purchase: &Purchase,
    directory: &Path,
    say: Say,
) -> Result<Option<String>, Failure> {
    if runner.status(key).await?.is_some_and(|status| status.status == Status::Finished) {
        return Ok(None);
    }
    say.chapter("A purchase, in a process that is killed right after the charge");
    say.fact(
        "purchase",
        format!("line {}: {} CDs, ${}", purchase.line, purchase.qty, dollars(purchase.cents)),
    );
    let Some((charge_id, status)) = killed_after_charge(directory, say).await? else {
        say.fact("child", "ended by itself: an earlier demo had got past the charge");
        return Ok(None);
    };
    if status.signal() != Some(KILL) {
        return Err(Failure::Disagree(format!("the child ended by {status} instead of SIGKILL")));
    }
    say.fact("charge", format!("{charge_id} is on disk in the ledger; the child has not heard of it"));
    say.fact("SIGKILL", format!("the child is dead ({status})"));
    let standing = runner.status(key).await?.map(|status| status.recovery_point);
    say.fact("key", format!("stands at {}", standing.as_deref().unwrap_or("nothing")));
    Ok(standing)
}

/// `None` if the child ended without a charge.
async fn killed_after_charge(directory: &Path, say: Say) -> Result<Option<(String, ExitStatus)>, Failure> {
    let mut child = spawned(directory)?;
    say.fact("child", format!("process {}", child.id().unwrap_or_default()));
    let Some(out) = child.stdout.take() else { return Ok(None) };
    let line = BufReader::new(out).lines().next_line().await?;
    let Some(charge_id) = line.as_deref().and_then(|line| line.strip_prefix(CHARGED)) else {
        let status = child.wait().await?;
        return match status.success() {
            true => Ok(None),
            false => Err(Failure::Disagree(format!("the child failed ({status}): see its message above"))),
        };
    };
    child.start_kill()?;
    Ok(Some((charge_id.to_owned(), child.wait().await?)))
}

fn spawned(directory: &Path) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("demo-child").arg("--dir").arg(directory).kill_on_drop(true);
    // The child ends itself when its standard input does.
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command.spawn()?)
}

/// Resumes the key as soon as the dead process's lease has run out.
pub(super) async fn resumed(
    runner: &Runner<Sqlite, Shop>,
    key: &Key,
    purchase: &Purchase,
    say: Say,
) -> Result<Answered, Failure> {
    say.chapter("The first purchase, asked for again");
    let started = Instant::now();
    let answered = loop {
        match runner.run(checkout, key.clone(), purchase.order()).await {
            Err(Error::InProgress { retry_after, .. }) if started.elapsed() < LONGEST_WAIT => {
                let left = retry_after.as_secs_f64();
                say.fact("lease", format!("of the dead process, runs out in {left:.1} s; waiting"));
                tokio::time::sleep(retry_after + Duration::from_millis(20)).await;
            }
            Err(Error::Waiting { retry_after, .. }) if started.elapsed() < LONGEST_WAIT => {
                let left = retry_after.as_secs_f64();
                say.fact("key", format!("waits {left:.1} s for its next attempt"));
                tokio::time::sleep(retry_after + Duration::from_millis(20)).await;
            }
            other => break other?,
        }
    };
    match answered.replayed() {
        true => say.fact("ran", "nothing: it was finished before, this is the stored response"),
        false => {
            say.fact("skipped", listed(answered.skipped()));
            say.fact("ran", listed(answered.ran()));
        }
    }
    say.fact("response", shown(&answered));
    Ok(answered)
}

/// Shows what the ledger says of the purchase, and asks once more for the stored response.
pub(super) async fn replayed(
    runner: &Runner<Sqlite, Shop>,
    key: &Key,
    purchase: &Purchase,
    ledger: &Path,
    first: &Answered,
    say: Say,
) -> Result<Answered, Failure> {
    say.chapter("What the ledger says");
    one_charge(ledger, &purchase.order().order_id, say)?;
    say.chapter("Once more: the stored response");
    let again = runner.run(checkout, key.clone(), purchase.order()).await?;
    say.fact("first", shown(first));
    say.fact("again", shown(&again));
    match again.replayed() && again.response() == first.response() {
        true => say.good("the same bytes; nothing ran"),
        false => return Err(Failure::Disagree("the replay is not the response".to_owned())),
    }
    Ok(again)
}

/// Every line of the order, and what they add up to.
fn one_charge(ledger: &Path, order_id: &str, say: Say) -> Result<(), Failure> {
    let (mut charges, mut keys, mut asked) = (HashSet::new(), HashSet::new(), 0);
    for line in ledger::lines(ledger)? {
        let line = line?;
        if line.order_id == order_id {
            say.fact(&format!("line {}", line.seq), shown_line(&line));
            charges.extend(line.charge_id);
            keys.insert(line.effect_key);
            asked += 1;
        }
    }
    let (charges, keys) = (charges.len(), keys.len());
    say.fact("", format!("{charges} charge, asked for {asked} times, under {keys} effect key"));
    match (charges, keys) {
        (1, 1) => Ok(()),
        _ => {
            Err(Failure::Disagree(format!("order {order_id} has {charges} charges under {keys} effect keys")))
        }
    }
}

fn listed(steps: &[&str]) -> String {
    if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") }
}

fn shown(answered: &Answered) -> String {
    format!(
        "{}, {} bytes, sha256 {}…",
        answered.status(),
        answered.body().len(),
        &sha256(answered.body())[..16]
    )
}

fn shown_line(line: &Line) -> String {
    let outcome = match line.outcome {
        ledger::Outcome::Captured => "captured",
        ledger::Outcome::Replayed => "replayed",
        ledger::Outcome::Declined => "declined",
        ledger::Outcome::Refunded => "refunded",
    };
    let node = line.node.as_deref().unwrap_or("?");
    let attempt = line.attempt.unwrap_or_default();
    let charge = line.charge_id.as_deref().unwrap_or("no charge");
    format!("{outcome}  {charge}  attempt {attempt} by {node}, effect key {}…", prefix(&line.effect_key, 8))
}

fn prefix(text: &str, chars: usize) -> &str {
    text.get(..chars).unwrap_or(text)
}
