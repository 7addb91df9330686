//! The audit: every key with the steps that it has run and the attempts that failed, one JSON object a line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;
use workflow::seam::{FailedAttempt, Filter, PointRow};
use workflow::{KeyStatus, Runner, Workflow};

use crate::failure::Failure;
use crate::figures::sha256;
use crate::order::Order;
use crate::secret::SecretKeys;
use crate::shop::{Shop, ShopStore};
use crate::steps::checkout;

/// How many keys are in memory at once.
const PAGE: u32 = 500;
/// The ends of the stored names of an undo and of its point; no other name has a dot, but for those of the points at
/// which a key was turned round: `<step>.refused`, `<step>.cancelled`.
const UNDO: &str = ".undo";
const UNDONE: &str = ".undone";

/// One key.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    scope: &'a str,
    key_hash: String,
    workflow: &'a str,
    version: i32,
    status: &'static str,
    recovery_point: &'a str,
    fence: i64,
    attempts: i32,
    created_at: String,
    cancel_requested_at: Option<String>,
    finished_at: Option<String>,
    response_code: Option<u16>,
    response_sha256: Option<String>,
    steps: Vec<StepEntry<'a>>,
    failed_attempts: Vec<FailedEntry<'a>>,
}

/// One step or undo that a key has run, or has begun.
#[derive(Debug, Serialize)]
struct StepEntry<'a> {
    /// Of an undo, `undo:` and the step.
    name: Cow<'a, str>,
    /// The point that it reached; of a step that has only begun, the one that it leads to.
    recovery_point: Cow<'a, str>,
    attempts: i32,
    first_attempt_at: Option<String>,
    reached_at: Option<String>,
    fence: i64,
}

/// One attempt of a step or an undo that reached nothing.
#[derive(Debug, Serialize)]
struct FailedEntry<'a> {
    step: Cow<'a, str>,
    attempt: i32,
    error: &'a str,
    in_doubt: bool,
    failed_at: String,
    fence: i64,
}

/// Writes the audit.
///
/// # Errors
/// [`Failure`] if the store, a stored response or the output fails.
pub async fn write<S: ShopStore>(store: S, keys: &SecretKeys, out: &mut impl Write) -> Result<(), Failure> {
    // It only looks: nothing is registered, no application is needed.
    let runner = Runner::builder(store, ()).codec(keys.codec()?).build()?;
    let workflow = checkout::<S::Conn>();
    let mut filter = Filter { limit: PAGE, ..Filter::default() };
    loop {
        let page = runner.list(&filter).await?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.after = Some(last.id);
        let ids: Vec<Uuid> = page.iter().map(|key| key.id).collect();
        let journal = by_key(runner.journal(&ids).await?, |row| row.key_id);
        let failures = by_key(runner.failed_attempts(&ids).await?, |row| row.key_id);
        for key in &page {
            let reached = journal.get(&key.id).map_or(&[][..], Vec::as_slice);
            let failed = failures.get(&key.id).map_or(&[][..], Vec::as_slice);
            write_entry(&workflow, key, reached, failed, out)?;
        }
    }
}

fn by_key<T>(rows: Vec<T>, key: impl Fn(&T) -> Uuid) -> HashMap<Uuid, Vec<T>> {
    let mut grouped: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        grouped.entry(key(&row)).or_default().push(row);
    }
    grouped
}

fn write_entry<C>(
    workflow: &Workflow<C, Shop, Order>,
    key: &KeyStatus,
    reached: &[PointRow],
    failed: &[FailedAttempt],
    out: &mut impl Write,
) -> io::Result<()> {
    let begun = next(workflow, key, reached).filter(|_| key.step_attempts > 0);
    let begun = begun.map(|(name, leads_to)| StepEntry::begun(key, name, leads_to));
    let steps = reached.iter().map(StepEntry::reached).chain(begun);
    let entry = Entry {
        scope: key.key.scope(),
        key_hash: key.key.hash(),
        workflow: &key.workflow,
        version: key.version,
        status: key.status.as_str(),
        recovery_point: &key.recovery_point,
        fence: key.fence,
        attempts: key.attempts,
        created_at: time(key.created_at),
        cancel_requested_at: key.cancel_requested_at.map(time),
        finished_at: key.finished_at.map(time),
        response_code: key.response.as_ref().map(|response| response.status()),
        response_sha256: key.response.as_ref().map(|response| sha256(response.body())),
        steps: steps.collect(),
        failed_attempts: failed.iter().map(FailedEntry::of).collect(),
    };
    serde_json::to_writer(&mut *out, &entry)?;
    out.write_all(b"\n")
}

impl<'a> StepEntry<'a> {
    fn reached(row: &'a PointRow) -> Self {
        Self {
            name: named(&row.step),
            recovery_point: Cow::Borrowed(&row.name),
            attempts: row.attempts,
            first_attempt_at: Some(time(row.first_attempt_at)),
            reached_at: Some(time(row.reached_at)),
            fence: row.fence,
        }
    }

    fn begun(key: &KeyStatus, name: Cow<'a, str>, leads_to: Cow<'a, str>) -> Self {
        Self {
            name,
            recovery_point: leads_to,
            attempts: key.step_attempts,
            first_attempt_at: key.first_attempt_at.map(time),
            reached_at: None,
            fence: key.fence,
        }
    }
}

impl<'a> FailedEntry<'a> {
    fn of(failed: &'a FailedAttempt) -> Self {
        Self {
            step: named(&failed.step),
            attempt: failed.attempt,
            error: &failed.error,
            in_doubt: failed.in_doubt,
            failed_at: time(failed.failed_at),
            fence: failed.fence,
        }
    }
}

/// How a stored step is shown: the undo `reserve_stock.undo` as `undo:reserve_stock`.
fn named(step: &str) -> Cow<'_, str> {
    match step.strip_suffix(UNDO) {
        Some(step) => Cow::Owned(format!("undo:{step}")),
        None => Cow::Borrowed(step),
    }
}

/// What a key does next, and where that leads: the step from its point, or, once it was turned round, the undo of the
/// last step that is not undone. All steps before the point of no return have one.
fn next<'a, C>(
    workflow: &'a Workflow<C, Shop, Order>,
    key: &KeyStatus,
    reached: &'a [PointRow],
) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    if !key.recovery_point.contains('.') {
        let step = workflow.steps().find(|step| step.from == key.recovery_point)?;
        return Some((step.name.into(), step.reaches.first().copied().unwrap_or_default().into()));
    }
    let undone = |step: &str| reached.iter().any(|row| row.name.strip_suffix(UNDONE) == Some(step));
    let forward = reached.iter().rev().filter(|row| !row.name.contains('.'));
    let due = forward.map(|row| &row.step).find(|step| !undone(step))?;
    Some((format!("undo:{due}").into(), format!("{due}{UNDONE}").into()))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
