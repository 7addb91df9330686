//! How many requests a second come through the contract of `Idempotency-Key`, beside the same handler without it.

use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use benches::failure::{Failure, chain};
use benches::figures::median_of;
use benches::http::client::Client;
use benches::http::serve::{LISTENING, serve};
use benches::http::{WAYS, Way};
use benches::load::drive;
use benches::meter::PostgresMeter;
use benches::payload::Request;
use benches::sample::Sample;
use benches::server::Server;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// Before anything is measured: connections, prepared statements, and the keys that are replayed later.
const WARM_UP: Duration = Duration::from_secs(1);
/// Which database the server uses, in its environment: a URL may hold a password.
const DATABASE: &str = "HTTP_BENCH_DATABASE";

/// Sends requests from this process to a server in another one: to a handler alone, to the same handler with the layer,
/// and to a workflow of one step; each with a fresh key, and each with a key whose response is stored.
///
/// The request is JSON of 500 bytes, the answer of 100 bytes. The ways are measured in turn, round after round; a figure
/// is the median of the rounds. PostgreSQL is named by `DATABASE_URL`; a database of its own is made there and dropped.
#[derive(Parser)]
struct Args {
    /// Which store.
    #[arg(long, value_enum, required_unless_present = "serve")]
    store: Option<Which>,
    /// How many connections, each with one request at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    in_flight: usize,
    /// How long each way is measured, in all rounds together.
    #[arg(long, value_name = "S", default_value_t = 9.0)]
    seconds: f64,
    /// Into how many rounds the time is divided.
    #[arg(long, value_name = "R", default_value_t = 5)]
    rounds: u32,
    /// Print one JSON object as the last line of standard output.
    #[arg(long)]
    json: bool,
    /// This is the server.
    #[arg(long, hide = true)]
    serve: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Postgres,
}

/// What came of a way.
#[derive(Default)]
struct Measured {
    rates: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    requests: f64,
    statements: Option<f64>,
    writing_commits: Option<f64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match (args.serve, std::env::var(DATABASE)) {
        (true, Ok(url)) => serve(&url).await,
        _ => measure(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The server's database, and what counts there.
enum Place {
    Sqlite { _folder: TempDir, url: String },
    Postgres { server: Box<Server>, meter: Box<PostgresMeter>, name: String, url: String },
}

impl Place {
    async fn open(store: Which) -> Result<Self, Failure> {
        if store == Which::Sqlite {
            let folder = tempfile::tempdir()?;
            let url = format!("sqlite://{}", folder.path().join("http.db").display());
            return Ok(Self::Sqlite { _folder: folder, url });
        }
        let mut server = Box::new(Server::connect().await?);
        let meter = Box::new(PostgresMeter::open(&mut server).await?);
        let place = server.create("_http").await?;
        Ok(Self::Postgres { server, meter, name: place.name, url: place.url })
    }

    fn url(&self) -> &str {
        let (Self::Sqlite { url, .. } | Self::Postgres { url, .. }) = self;
        url
    }

    /// Statements and writing commits so far, where they are counted.
    async fn counted(&mut self) -> Result<(Option<f64>, Option<f64>), Failure> {
        match self {
            Self::Sqlite { .. } => Ok((None, None)),
            Self::Postgres { meter, name, .. } => {
                let reading = meter.read(name).await?;
                Ok((reading.statements, reading.xids))
            }
        }
    }

    async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite { .. } => Ok(()),
            Self::Postgres { mut server, .. } => Ok(server.drop_made().await?),
        }
    }
}

async fn measure(args: &Args) -> Result<(), Failure> {
    let fits = args.seconds.is_finite() && args.seconds > 0.0 && args.rounds > 0 && args.in_flight > 0;
    let (true, Some(store)) = (fits, args.store) else {
        return Err(Failure::Usage("seconds, rounds and in-flight are greater than 0"));
    };
    let mut place = Place::open(store).await?;
    let done = tokio::select! {
        done = rounds(args, &mut place) => done,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    place.close().await?;
    report(args, store, &done?);
    Ok(())
}

async fn rounds(args: &Args, place: &mut Place) -> Result<Vec<Measured>, Failure> {
    let (_server, at) = started(place.url()).await?;
    let mut crowds = Vec::new();
    for way in WAYS {
        crowds.push(Crowd::gather(way, &at, args.in_flight).await?);
    }
    let time = Duration::from_secs_f64(args.seconds / f64::from(args.rounds));
    for crowd in &crowds {
        crowd.run(WARM_UP).await?;
    }
    let mut measured: Vec<Measured> = WAYS.iter().map(|_| Measured::default()).collect();
    for round in 1..=args.rounds {
        for (crowd, measured) in crowds.iter().zip(&mut measured) {
            let before = place.counted().await?;
            let load = crowd.run(time).await?;
            let after = place.counted().await?;
            let requests = load.runs() as f64;
            let rate = requests / load.seconds;
            let name = crowd.way.name;
            anstream::eprintln!("round {round} of {}: {name:<18} {rate:>8.0} requests a second", args.rounds);
            let micros = |us: &u32| Duration::from_micros(u64::from(*us));
            let sample = Sample::new(load.latencies_us.iter().map(micros).collect());
            measured.rates.push(rate);
            measured.p50_ms.push(sample.quantile_us(0.5) / 1000.0);
            measured.p99_ms.push(sample.quantile_us(0.99) / 1000.0);
            measured.requests += requests;
            measured.statements = spent(measured.statements, before.0, after.0);
            measured.writing_commits = spent(measured.writing_commits, before.1, after.1);
        }
    }
    Ok(measured)
}

fn spent(so_far: Option<f64>, before: Option<f64>, after: Option<f64>) -> Option<f64> {
    before.zip(after).map(|(before, after)| so_far.unwrap_or_default() + after - before)
}

/// The server, in a process of its own that goes with the handle, and its address.
async fn started(url: &str) -> Result<(Child, String), Failure> {
    let mut server = Command::new(std::env::current_exe()?);
    server.arg("--serve").env(DATABASE, url).stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = server.spawn()?;
    let said = server.stdout.take().ok_or(Failure::Worker)?;
    let line = BufReader::new(said).lines().next_line().await?.ok_or(Failure::Worker)?;
    let at = line.strip_prefix(LISTENING).ok_or(Failure::Worker)?.to_owned();
    Ok((server, at))
}

/// Clients that go one way.
struct Crowd {
    way: Way,
    idle: Arc<Mutex<Vec<(Client, String)>>>,
    clients: usize,
    sent: Arc<AtomicU64>,
    body: Arc<str>,
}

impl Crowd {
    /// Each with a connection, and where it replays with a key whose response is stored.
    async fn gather(way: Way, at: &str, clients: usize) -> Result<Self, Failure> {
        let body: Arc<str> = serde_json::to_string(&Request::new(1))?.into();
        let mut idle = Vec::new();
        for number in 0..clients {
            let (mut client, key) = (Client::connect(at).await?, format!("again-{}-{number}", way.path));
            if !way.fresh {
                client.post(way.path, &key, &body, false).await?;
            }
            idle.push((client, key));
        }
        Ok(Self { way, idle: Arc::new(Mutex::new(idle)), clients, sent: Arc::default(), body })
    }

    async fn run(&self, time: Duration) -> Result<benches::load::Load, Failure> {
        let (way, idle, sent, body) = (self.way, self.idle.clone(), self.sent.clone(), self.body.clone());
        let once = move || {
            let (idle, sent, body) = (idle.clone(), sent.clone(), body.clone());
            async move {
                let (mut client, stored) = idle.lock().await.pop().ok_or(Failure::Worker)?;
                match way.fresh {
                    true => {
                        let key = format!("first-{}-{}", way.path, sent.fetch_add(1, Ordering::Relaxed));
                        client.post(way.path, &key, &body, false).await?;
                    }
                    false => client.post(way.path, &stored, &body, true).await?,
                }
                idle.lock().await.push((client, stored));
                Ok(())
            }
        };
        drive(self.clients, time, once).await
    }
}

fn report(args: &Args, store: Which, measured: &[Measured]) {
    let alone = measured.first().map_or(0.0, |alone| median_of(&alone.rates));
    let rows: Vec<_> = WAYS.iter().zip(measured).map(|(way, measured)| row(way, measured, alone)).collect();
    let name = if store == Which::Sqlite { "sqlite" } else { "postgres" };
    if args.json {
        let report =
            json!({ "store": name, "in_flight": args.in_flight, "rounds": args.rounds, "ways": rows });
        anstream::println!("{report}");
        return;
    }
    anstream::println!("{name}, {} connections, medians of {} rounds", args.in_flight, args.rounds);
    let columns =
        ["requests_per_s", "of_the_handler_alone", "p50_ms", "p99_ms", "statements", "writing_commits"];
    let heads: String = columns.iter().map(|column| format!("{column:>22}")).collect();
    anstream::println!("{:<18}{heads}", "");
    for row in &rows {
        let cell = |column: &str| row[column].as_f64().map_or("-".to_owned(), |value| format!("{value:.2}"));
        let cells: String = columns.iter().map(|column| format!("{:>22}", cell(column))).collect();
        anstream::println!("{:<18}{cells}", row["way"].as_str().unwrap_or_default());
    }
}

fn row(way: &Way, measured: &Measured, alone: f64) -> Value {
    let rate = median_of(&measured.rates);
    let of = |counted: Option<f64>| counted.map(|counted| counted / measured.requests);
    json!({
        "way": way.name,
        "requests_per_s": rate,
        "of_the_handler_alone": rate / alone,
        "p50_ms": median_of(&measured.p50_ms),
        "p99_ms": median_of(&measured.p99_ms),
        "statements": of(measured.statements),
        "writing_commits": of(measured.writing_commits),
    })
}
