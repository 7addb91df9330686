//! An order is created, charged and receipted: once, however often it is asked for.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::SqliteConnection;
use workflow::{Atomic, Foreign, Key, RecoveryPoint, Response, Runner, Step, Workflow};

#[derive(Serialize, Deserialize)]
struct Cart(i64); // in cents
#[derive(Serialize, Deserialize)]
struct OrderCreated(i64); // its id
#[derive(Serialize, Deserialize)]
struct Charged(i64, String); // the order's id and the charge's
impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}
impl RecoveryPoint for OrderCreated {
    const NAME: &'static str = "order_created";
}
impl RecoveryPoint for Charged {
    const NAME: &'static str = "charged";
}
struct Gateway; // pretends to charge cards

async fn create_order(cx: Atomic<'_, SqliteConnection, Gateway, Cart>, cart: Cart) -> Step<OrderCreated> {
    let insert = sqlx::query_scalar("INSERT INTO orders (cents) VALUES ($1) RETURNING id").bind(cart.0);
    Ok(OrderCreated(insert.fetch_one(cx.conn).await?))
}

async fn charge(cx: Foreign<'_, Gateway, Cart>, order: OrderCreated) -> Step<Charged> {
    println!("the gateway charges {} cents", cx.request().0); // here belongs the call, with the effect key
    Ok(Charged(order.0, format!("ch_{}", cx.effect_key())))
}

async fn send_receipt(cx: Atomic<'_, SqliteConnection, Gateway, Cart>, paid: Charged) -> Step<Response> {
    cx.stage("receipt", &json!({ "order": paid.0, "charge": paid.1 }))?;
    Ok(Response::new(201, json!({ "order": paid.0, "charge": paid.1 })))
}

fn checkout() -> Workflow<SqliteConnection, Gateway, Cart> {
    Workflow::new("checkout")
        .atomic("create_order", create_order)
        .foreign("charge", charge)
        .atomic("send_receipt", send_receipt)
        .build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = workflow_sqlite::Sqlite::open("sqlite://quickstart.db").await?;
    let orders = "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)";
    sqlx::query(orders).execute(store.pool()).await?;
    let runner = Runner::builder(store, Gateway).with(checkout).build()?;
    for _ in 0..2 {
        let answer = runner.run(checkout, Key::new("tenant-7", "8e03978e")?, Cart(4200)).await?;
        println!("replayed: {}, {}", answer.replayed(), String::from_utf8_lossy(answer.body()));
    }
    Ok(())
}
