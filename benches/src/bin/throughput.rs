//! How many runs a second, and what one of them costs; beside the least that the database would ask for the same.

use std::process::ExitCode;
use std::time::Duration;

use benches::crew::WORKER_FLAG;
use benches::failure::{Failure, chain};
use benches::figures::{ByLane, Figures};
use benches::lane::{Done, Lane};
use benches::stage::{Setting, Stage};
use benches::worker;
use benches::workload::Workload;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use serde_json::{Value, json};
use tokio::runtime::Builder;

/// The warm-up of each lane: connections, prepared statements, and the full pages that follow a checkpoint.
const WARM_UP: Duration = Duration::from_secs(1);

/// Shown below the help.
const EXAMPLE: &str = "\
A PostgreSQL for one measurement, which counts statements too:
  pg_virtualenv -t -o fsync=on -o shared_preload_libraries=pg_stat_statements sh -c '
      DATABASE_URL=postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE \\
      throughput --store postgres --in-flight 64 --floor'";

/// Runs a workflow as often as it will go, and says how many runs a second that is and what each costs.
///
/// The work: a request of 500 bytes of JSON, steps that do nothing but reach their points, a response of 100 bytes,
/// through
/// the real runner with its usual settings. So many runs are in flight at any time, each with a fresh key. After a
/// second
/// of warm-up the time is divided into rounds; a figure is the median of the rounds. Nothing is reported of a database
/// that
/// could lose what it has acknowledged.
///
/// PostgreSQL is named by `DATABASE_URL`. Databases of its own are made there and dropped; nothing else must run on it.
#[derive(Parser)]
#[command(after_long_help = EXAMPLE)]
struct Args {
    /// Which store.
    #[arg(long, value_enum, required_unless_present = "worker")]
    store: Option<Which>,
    #[command(flatten)]
    workload: Workload,
    /// How many runs are in flight, in each process.
    #[arg(long, value_name = "N", default_value_t = 16)]
    in_flight: usize,
    /// How long is measured, in all rounds together.
    #[arg(long, value_name = "S", default_value_t = 9.0)]
    seconds: f64,
    /// Into how many rounds the time is divided.
    #[arg(long, value_name = "R", default_value_t = 3)]
    rounds: u32,
    /// How many finished keys are in the table beforehand.
    #[arg(long, value_name = "K", default_value_t = 0)]
    prefill: i64,
    /// How many processes work on the same tables (PostgreSQL alone).
    #[arg(long, value_name = "P", default_value_t = 1)]
    processes: usize,
    /// Measure the floors too, in turn with ours: the least SQL by hand that still keeps the guards, with each write in
    /// a
    /// commit of its own (separate), with whatever writes there are in one commit (group), and with a whole run in one
    /// commit.
    #[arg(long)]
    floor: bool,
    /// Print one JSON object as the last line of standard output.
    #[arg(long)]
    json: bool,
    /// This is a process that another one has started.
    #[arg(long, hide = true)]
    worker: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Postgres,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(wrong) = args.workload.check() {
        Args::command().error(ErrorKind::ValueValidation, wrong).exit();
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// A worker has the runtime that users have. The floors have one thread: they have too little to do for two, which
/// would
/// wake each other at every write.
fn run(args: &Args) -> Result<(), Failure> {
    match args.store {
        Some(store) if !args.worker => {
            Builder::new_current_thread().enable_all().build()?.block_on(measure(args, store))
        }
        _ => Builder::new_multi_thread().enable_all().build()?.block_on(work(args)),
    }
}

async fn work(args: &Args) -> Result<(), Failure> {
    debug_assert!(args.worker, "only {WORKER_FLAG} does without --store");
    let url = std::env::var("DATABASE_URL").map_err(|_| benches::Unfit::NoServer)?;
    worker::work(&url, args.workload, args.in_flight).await
}

async fn measure(args: &Args, store: Which) -> Result<(), Failure> {
    let fits = args.seconds.is_finite() && args.seconds > 0.0;
    if !fits || args.rounds == 0 || args.in_flight == 0 || args.processes == 0 || args.prefill < 0 {
        return Err(Failure::Usage("seconds, rounds, in-flight and processes are greater than 0"));
    }
    if store == Which::Sqlite && args.processes > 1 {
        return Err(Failure::Usage("--processes is for PostgreSQL alone"));
    }
    let mut stage = match store {
        Which::Sqlite => Stage::sqlite()?,
        Which::Postgres => Stage::postgres().await?,
    };
    // The databases go also when somebody has lost patience.
    let done = tokio::select! {
        done = rounds(&mut stage, args) => done,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    stage.clear().await?;
    report(args, store, &done?);
    Ok(())
}

async fn rounds(stage: &mut Stage, args: &Args) -> Result<Vec<Done>, Failure> {
    if args.prefill > 0 {
        anstream::eprintln!("filling a table with {} finished keys …", args.prefill);
    }
    let mut lanes = stage.lanes(args.setting()).await?;
    for lane in &mut lanes {
        lane.warm_up(WARM_UP).await?;
    }
    let time = Duration::from_secs_f64(args.seconds / f64::from(args.rounds));
    for round in 1..=args.rounds {
        for lane in &mut lanes {
            let rate = lane.round(time).await?.rate;
            anstream::eprintln!(
                "round {round} of {}: {:<10} {rate:>8.0} runs a second",
                args.rounds,
                lane.name
            );
        }
    }
    let mut done = Vec::new();
    for lane in lanes {
        done.push(Lane::end(lane).await?);
    }
    Ok(done)
}

fn report(args: &Args, store: Which, done: &[Done]) {
    let lanes: Vec<_> = done.iter().map(|done| (done.name, Figures::of(done))).collect();
    let Some((_, ours)) = lanes.first() else { return };
    if args.json {
        anstream::println!("{}", as_json(args, store, ours, &lanes[1..]));
        return;
    }
    let [_, kind, ..] = args.workload.arguments();
    let (steps, in_flight) = (args.workload.places().len(), args.in_flight);
    anstream::println!("{}, {kind}: {steps} steps, {in_flight} in flight", store.name());
    let names: String = lanes.iter().map(|(name, _)| format!("{name:>12}")).collect();
    anstream::println!("{:<22}{names}", "");
    let rows: Vec<_> = lanes.iter().map(|(_, figures)| figures.rows()).collect();
    for (n, (label, _)) in ours.rows().iter().enumerate() {
        let cells = rows.iter().map(|row| row[n].1.map_or("-".to_owned(), |value| format!("{value:.1}")));
        let cells: String = cells.map(|cell| format!("{cell:>12}")).collect();
        anstream::println!("{label:<22}{cells}");
    }
    for (name, floor) in &lanes[1..] {
        anstream::println!("ours / {name}: {:.2}", ours.runs_per_s / floor.runs_per_s);
    }
}

fn as_json(args: &Args, store: Which, ours: &Figures, floors: &[(&'static str, Figures)]) -> Value {
    let mut all = json!({
        "store": store.name(), "workload": args.workload.kind, "in_flight": args.in_flight,
        "steps": args.workload.places().len(), "point_bytes": args.workload.point_bytes, "rounds": args.rounds,
        "seconds": args.seconds, "prefill": args.prefill, "processes": args.processes,
    });
    let (Value::Object(all_of), Ok(Value::Object(figures))) = (&mut all, serde_json::to_value(ours)) else {
        return all;
    };
    all_of.extend(figures);
    for (name, floor) in floors {
        all_of.insert(format!("floor_{name}_per_s"), floor.runs_per_s.into());
    }
    if !floors.is_empty() {
        let by_name: ByLane = floors.iter().cloned().collect();
        all_of.insert("floors".to_owned(), json!(by_name));
    }
    all
}

impl Args {
    fn setting(&self) -> Setting {
        let Self { workload, in_flight, processes, prefill, floor, .. } = *self;
        Setting { workload, in_flight, processes, prefill, floor }
    }
}
