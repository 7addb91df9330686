//! One process of the crowd: runs every key of a list, in an order of its own, until each has its response, and prints
//! the responses. It says when it is ready, and begins at the next line that it reads. Arguments: the database's URL,
//! this process's number, how many keys, how many at once, the lease in
//! milliseconds. Number 0 is frozen for a while by whoever started it. What is an error here, a run's or its own, ends
//! it with a failure.

use std::error::Error as Wrong;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use workflow::{Atomic, Error, Foreign, Key, RecoveryPoint, Response, Runner, Step, Workflow};
use workflow_postgres::{Options, Postgres};

#[derive(Serialize, Deserialize)]
struct Ask;

#[derive(Serialize, Deserialize)]
struct Ordered;

#[derive(Serialize, Deserialize)]
struct Charged {
    charge: Uuid,
}

#[derive(Serialize, Deserialize)]
struct Packed {
    charge: Uuid,
}

impl RecoveryPoint for Ask {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Ordered {
    const NAME: &'static str = "ordered";
}

impl RecoveryPoint for Charged {
    const NAME: &'static str = "charged";
}

impl RecoveryPoint for Packed {
    const NAME: &'static str = "packed";
}

/// Of each pool. A connection costs more than many runs: they are made before the crowd is let in. Whoever is frozen
/// may
/// keep a row locked by each of its own, and a connection of every other waits for that.
fn connections(me: usize) -> u32 {
    if me == 0 { 2 } else { 10 }
}

/// Who asks again more often keeps everybody from the database.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The world outside: it takes its time, and remembers every call.
struct World {
    pool: PgPool,
    /// The number of this process.
    me: i32,
}

async fn order(cx: Atomic<'_, PgConnection, World, Ask>, _: Ask) -> Step<Ordered> {
    note(cx.conn, cx.app, "order", cx.key).await?;
    Ok(Ordered)
}

async fn charge(cx: Foreign<'_, World, Ask>, _: Ordered) -> Step<Charged> {
    let charge = cx.effect_key();
    let call = sqlx::query("INSERT INTO calls (key, effect_key) VALUES ($1, $2)");
    call.bind(cx.key.value()).bind(charge).execute(&cx.app.pool).await?;
    tokio::time::sleep(Duration::from_millis(u64::from(charge.as_bytes()[0]) / 8)).await;
    Ok(Charged { charge })
}

async fn pack(cx: Atomic<'_, PgConnection, World, Ask>, charged: Charged) -> Step<Packed> {
    note(cx.conn, cx.app, "pack", cx.key).await?;
    Ok(Packed { charge: charged.charge })
}

async fn ship(cx: Atomic<'_, PgConnection, World, Ask>, packed: Packed) -> Step<Response> {
    note(cx.conn, cx.app, "ship", cx.key).await?;
    Ok(Response::new(201, json!({ "key": cx.key.value(), "charge": packed.charge, "fence": cx.fence() })))
}

async fn note(conn: &mut PgConnection, app: &World, step: &str, key: &Key) -> Result<(), sqlx::Error> {
    let note = sqlx::query("INSERT INTO notes (key, step, process) VALUES ($1, $2, $3)");
    note.bind(key.value()).bind(step).bind(app.me).execute(conn).await?;
    Ok(())
}

fn selling() -> Workflow<PgConnection, World, Ask> {
    Workflow::new("selling")
        .atomic("order", order)
        .foreign("charge", charge)
        .atomic("pack", pack)
        .atomic("ship", ship)
        .build()
}

/// The response; who comes too early or is overtaken asks again.
async fn sold(runner: &Runner<Postgres, World>, key: Key, frozen: bool) -> Result<String, Error> {
    loop {
        match runner.run(selling, key.clone(), Ask).await {
            Ok(answered) => return Ok(String::from_utf8_lossy(answered.body()).into_owned()),
            Err(Error::InProgress { retry_after, .. }) => {
                tokio::time::sleep(retry_after.min(LONGEST_PAUSE)).await;
            }
            Err(Error::LeaseLost { .. }) => {}
            // Who was frozen wakes when the time for every call is over.
            Err(Error::Store(error)) if frozen && error.is_transient() => {}
            Err(error) => return Err(error),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Wrong>> {
    let [_, url, me, keys, at_once, lease] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("crowd URL NUMBER KEYS AT_ONCE LEASE_MS".into());
    };
    let (me, keys, at_once): (usize, usize, usize) = (me.parse()?, keys.parse()?, at_once.parse()?);
    let pool = PgPoolOptions::new().max_connections(connections(me)).connect(url).await?;
    let world = World { pool, me: i32::try_from(me)? };
    let store = Postgres::connect(url, Options::default().pool_size(connections(me))).await?;
    for pool in [&world.pool, store.pool()] {
        connected(pool, me).await?;
    }
    let runner = Runner::builder(store, world).with(selling).lease(Duration::from_millis(lease.parse()?));
    let runner = runner.patience(Duration::from_secs(60)).build()?;
    // Every process has another order: a stride that meets every key once, from a start of its own.
    let stride = (keys / 3 + 7 * me + 1..).find(|stride| gcd(*stride, keys) == 1).unwrap_or(1);
    let order = (0..keys).map(|i| (i * stride + me * keys / 4) % keys);
    let sales = stream::iter(order.map(|i| {
        let (runner, key) = (runner.clone(), Key::new("tenant", format!("k{i:06}")));
        async move { sold(&runner, key?, me == 0).await.map_err(Box::<dyn Wrong>::from) }
    }));
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let mut sold: Vec<_> = sales.buffer_unordered(at_once).try_collect().await?;
    sold.sort();
    println!("{}", sold.join("\n"));
    Ok(())
}

async fn connected(pool: &PgPool, me: usize) -> Result<(), sqlx::Error> {
    let mut made = Vec::new();
    while made.len() < connections(me) as usize {
        match pool.acquire().await {
            Ok(connection) => made.push(connection),
            Err(sqlx::Error::PoolTimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
