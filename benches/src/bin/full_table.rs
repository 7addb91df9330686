//! What a claim costs in an empty table, and what it costs beside a million finished keys.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::{Database, Sample, Unfit};
use clap::{Parser, ValueEnum};
use serde_json::json;
use uuid::Uuid;
use workflow::seam::{Lease, NewKey, Take};
use workflow::{Store, StoreError};

/// Times a claim in an empty table and again beside many finished keys.
#[derive(Parser)]
struct Args {
    /// Which store; PostgreSQL is named by `DATABASE_URL`.
    #[arg(long, value_enum)]
    store: Which,
    /// How many finished keys fill the table.
    #[arg(long, default_value_t = 1_000_000)]
    keys: i64,
    /// How many claims are timed, of each kind, each time.
    #[arg(long, default_value_t = 2000)]
    claims: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Sqlite,
    Postgres,
}

/// A first claim, and the claim of a key that was released.
#[derive(Default)]
struct Times {
    insert: Vec<Duration>,
    take: Vec<Duration>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            anstream::eprintln!("error: {error}{}", source.unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Unfit> {
    let database = match args.store {
        Which::Sqlite => Database::sqlite().await?,
        Which::Postgres => Database::postgres().await?,
    };
    anstream::eprintln!("filling a table with {} finished keys …", args.keys);
    for from in (0..args.keys).step_by(100_000) {
        database.fill(from, args.keys.min(from + 100_000)).await?;
    }
    database.settle().await?;
    let (empty, full) = match &database {
        Database::Sqlite { empty, full, .. } => side_by_side(empty, full, args.claims).await?,
        Database::Postgres { empty, full, .. } => side_by_side(empty, full, args.claims).await?,
    };
    database.close().await?;
    report(args, empty, full);
    Ok(())
}

/// One claim here, one there: after as many that are not counted.
async fn side_by_side<S: Store>(empty: &S, full: &S, claims: usize) -> Result<(Times, Times), Unfit> {
    let (mut in_empty, mut in_full) = (Times::default(), Times::default());
    for n in 0..2 * claims {
        if n == claims {
            (in_empty, in_full) = (Times::default(), Times::default());
        }
        claim(empty, &mut in_empty).await?;
        claim(full, &mut in_full).await?;
    }
    Ok((in_empty, in_full))
}

async fn claim<S: Store>(store: &S, times: &mut Times) -> Result<(), Unfit> {
    let new = new_key();
    let began = Instant::now();
    let first = store.insert(&new).await?;
    times.insert.push(began.elapsed());
    first.ok_or_else(|| StoreError::Damaged("a fresh key was there already".to_owned()))?;
    store.release(Lease { id: new.id, fence: 1 }, None).await?;
    let again = Take {
        scope: &new.scope,
        value: &new.value,
        claim_id: Uuid::new_v4(),
        workflow: &new.workflow,
        digest: Some(&new.digest),
        points: &["started"],
        lease: new.lease,
    };
    let began = Instant::now();
    let taken = store.take(again).await?;
    times.take.push(began.elapsed());
    taken.ok_or_else(|| StoreError::Damaged("a released key was not free".to_owned()))?;
    Ok(())
}

fn new_key() -> NewKey {
    NewKey {
        id: Uuid::now_v7(),
        claim_id: Uuid::new_v4(),
        scope: "tenant-7".to_owned(),
        value: Uuid::new_v4().to_string(),
        workflow: "bench".to_owned(),
        version: 1,
        digest: [1; 32],
        digest_version: 1,
        effect_seed: [2; 32],
        generation: 0,
        request_method: None,
        request_path: None,
        request_params: vec![b'x'; 500],
        lease: Duration::from_secs(30),
    }
}

fn report(args: &Args, empty: Times, full: Times) {
    let store = match args.store {
        Which::Sqlite => "sqlite",
        Which::Postgres => "postgres",
    };
    let rows = [("insert", empty.insert, full.insert), ("take", empty.take, full.take)];
    let rows = rows.map(|(kind, empty, full)| (kind, Sample::new(empty), Sample::new(full)));
    if args.json {
        let kinds: serde_json::Map<_, _> = rows
            .iter()
            .map(|(kind, empty, full)| {
                let (empty, full) = (empty.quantile_us(0.5), full.quantile_us(0.5));
                ((*kind).to_owned(), json!({ "empty_us": empty, "full_us": full, "ratio": full / empty }))
            })
            .collect();
        anstream::println!(
            "{}",
            json!({ "store": store, "keys": args.keys, "claims": args.claims, "p50": kinds })
        );
        return;
    }
    anstream::println!("{store}: median of {} claims, in µs", args.claims);
    anstream::println!("{:<8} {:>10} {:>16} {:>7}", "claim", "empty", "full", "ratio");
    for (kind, empty, full) in rows {
        let (empty, full) = (empty.quantile_us(0.5), full.quantile_us(0.5));
        anstream::println!("{kind:<8} {empty:>10.0} {full:>16.0} {:>7.2}", full / empty);
    }
}
