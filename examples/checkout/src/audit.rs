//! The audit: every key with the steps that it has run, one JSON object a line.

use std::collections::HashMap;
use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;
use workflow::seam::{Filter, PointRow};
use workflow::{KeyStatus, Runner, StepInfo, Workflow};

use crate::failure::Failure;
use crate::figures::sha256;
use crate::order::Order;
use crate::secret::SecretKeys;
use crate::shop::{Shop, ShopStore};
use crate::steps::checkout;

/// How many keys are in memory at once.
const PAGE: u32 = 500;

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
    finished_at: Option<String>,
    response_code: Option<u16>,
    response_sha256: Option<String>,
    steps: Vec<StepEntry<'a>>,
}

/// One step that a key has run, or has begun.
#[derive(Debug, Serialize)]
struct StepEntry<'a> {
    name: &'a str,
    /// The point that it reached; of a step that has only begun, the one that it leads to.
    recovery_point: &'a str,
    attempts: i32,
    first_attempt_at: Option<String>,
    reached_at: Option<String>,
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
        let journal = by_key(runner.journal(&ids).await?);
        for key in &page {
            let reached = journal.get(&key.id).map_or(&[][..], Vec::as_slice);
            write_entry(&workflow, key, reached, out)?;
        }
    }
}

fn by_key(rows: Vec<PointRow>) -> HashMap<Uuid, Vec<PointRow>> {
    let mut journal: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        journal.entry(row.key_id).or_default().push(row);
    }
    journal
}

fn write_entry<C>(
    workflow: &Workflow<C, Shop, Order>,
    key: &KeyStatus,
    reached: &[PointRow],
    out: &mut impl Write,
) -> io::Result<()> {
    let begun = workflow.steps().find(|step| key.step_attempts > 0 && step.from == key.recovery_point);
    let steps = reached.iter().map(StepEntry::reached).chain(begun.map(|step| StepEntry::begun(key, step)));
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
        finished_at: key.finished_at.map(time),
        response_code: key.response.as_ref().map(|response| response.status()),
        response_sha256: key.response.as_ref().map(|response| sha256(response.body())),
        steps: steps.collect(),
    };
    serde_json::to_writer(&mut *out, &entry)?;
    out.write_all(b"\n")
}

impl<'a> StepEntry<'a> {
    fn reached(row: &'a PointRow) -> Self {
        Self {
            name: &row.step,
            recovery_point: &row.name,
            attempts: row.attempts,
            first_attempt_at: Some(time(row.first_attempt_at)),
            reached_at: Some(time(row.reached_at)),
            fence: row.fence,
        }
    }

    fn begun(key: &KeyStatus, step: StepInfo<'a>) -> Self {
        Self {
            name: step.name,
            recovery_point: step.reaches.first().copied().unwrap_or_default(),
            attempts: key.step_attempts,
            first_attempt_at: key.first_attempt_at.map(time),
            reached_at: None,
            fence: key.fence,
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
