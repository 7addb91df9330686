//! The crash matrix of the real checkout: at every call of the store in turn the database is away, the reply is lost,
//! or the process dies before or after. One retry later there is one order, one charge key, one receipt, and the same
//! bytes for whoever asks again.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use checkout::{
    Answer, Card, Charge, Gateway, Order, Shop, ShopSql, ShopStore, Stamp, Verdict, Warehouse, checkout,
};
use uuid::Uuid;
use workflow::{Answered, Clock, Error, Key, Runner};
use workflow_testkit::{Fault, Faulty, How, sweep};

use crate::databases::{self, Database};

const LEASE: Duration = Duration::from_secs(3600);

/// Insert, two atomic steps of three calls each, two foreign ones: the least that a checkout asks of a store.
const CALLS: usize = 9;

const HOWS: [How; 4] = [How::Before, How::After, How::AbandonBefore, How::AbandonAfter];

const DECLINED: &str = "4000000000000002";

/// Notes every charge that it is asked for, as a real gateway's ledger would.
#[derive(Default)]
struct Witness(Mutex<Vec<(String, Uuid)>>);

impl Gateway for Witness {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        Box::pin(async move {
            self.0.lock().unwrap().push((charge.order_id.clone(), stamp.effect_key));
            Ok(match charge.card.number() {
                DECLINED => Verdict::Declined { reason: "do not honour".to_owned() },
                _ => Verdict::Captured { charge_id: format!("ch_{}", stamp.effect_key) },
            })
        })
    }

    fn refund<'a>(&'a self, _: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        unreachable!("{charge_id} was refunded: no step refuses after the charge")
    }
}

impl Witness {
    /// The distinct effect keys under which this order was charged.
    fn charge_keys(&self, order_id: &str) -> Vec<Uuid> {
        let calls = self.0.lock().unwrap();
        let mut keys: Vec<_> =
            calls.iter().filter(|(order, _)| order == order_id).map(|(_, key)| *key).collect();
        keys.dedup();
        keys
    }
}

fn shop(witness: &Arc<Witness>) -> Shop {
    Shop {
        gateway: witness.clone(),
        warehouse: Warehouse::Log,
        opening_stock: 1_000_000,
        node: "test".into(),
    }
}

fn order(order_id: &str, card: &str) -> Order {
    Order {
        order_id: order_id.to_owned(),
        sku: "cd".to_owned(),
        qty: 2,
        amount: 2933,
        currency: "USD".to_owned(),
        card: Card::new(card),
    }
}

/// One cell of the matrix: a checkout and a replay of it, with this fault on their way. Returns whether it fired.
async fn survives<S, Fut>(
    open: &impl Fn() -> Fut,
    observer: &S,
    clock: &Clock,
    card: &str,
    fault: Fault,
) -> usize
where
    S: ShopStore,
    Fut: Future<Output = S>,
{
    let (witness, faulty) = (Arc::new(Witness::default()), Faulty::new(observer.clone(), [fault]));
    let order_id = format!("{}-{:?}-{}", &card[..4], fault.how, fault.at);
    let key = Key::new("tenant", order_id.as_str()).unwrap();
    let before = books(observer).await;

    // The process of the runner is a runtime of its own: where it dies, all its tasks and connections die.
    let run = async || {
        let faulty = faulty.over(open().await);
        let runner =
            Runner::builder(faulty.clone(), shop(&witness)).with(checkout).lease(LEASE).build().unwrap();
        faulty.process(runner.run(checkout, key.clone(), order(&order_id, card))).await
    };
    let answered = retried_once(&run, clock, fault).await;
    let replayed = retried_once(&run, clock, fault).await;
    assert!(replayed.replayed(), "{fault:?}");
    assert_eq!(replayed.response(), answered.response(), "{fault:?}: other bytes");

    let after = books(observer).await;
    let sold = i64::from(card != DECLINED);
    assert_eq!(answered.status(), if sold == 1 { 201 } else { 402 }, "{fault:?}");
    assert_eq!(after.orders - before.orders, sold, "{fault:?}: orders");
    assert_eq!(before.left - after.left, 2 * sold, "{fault:?}: stock");
    assert_eq!(after.receipts - before.receipts, sold, "{fault:?}: receipts");
    assert_eq!(witness.charge_keys(&order_id).len(), 1, "{fault:?}: charge keys");
    faulty.fired()
}

/// The response, after one retry at the most. Who died holds the lease until it runs out.
async fn retried_once(
    run: impl AsyncFn() -> Option<Result<Answered, Error>>,
    clock: &Clock,
    fault: Fault,
) -> Answered {
    match run().await {
        Some(Ok(answered)) => return answered,
        Some(Err(_)) => {}
        None => clock.advance(LEASE),
    }
    run().await.expect("a process dies once").unwrap_or_else(|error| panic!("{fault:?}: the retry: {error}"))
}

#[derive(Debug)]
struct Books {
    orders: i64,
    left: i64,
    receipts: i64,
}

/// What a stranger would count in the database.
async fn books<S: ShopStore>(store: &S) -> Books {
    let mut reader = store.reader().await.unwrap();
    let stock = reader.stock("", 10).await.unwrap();
    let receipts = reader.jobs(Uuid::nil(), 1000).await.unwrap().len();
    Books {
        orders: reader.totals().await.unwrap().orders,
        left: stock.first().map_or(1_000_000, |row| row.left),
        receipts: i64::try_from(receipts).unwrap(),
    }
}

/// The whole matrix of one card; each cell has a handle of its own.
async fn matrix<S, Fut>(open: impl Fn() -> Fut, clock: Clock, card: &str)
where
    S: ShopStore,
    Fut: Future<Output = S>,
{
    let observer = open().await;
    observer.migrate_all().await.unwrap();
    for how in HOWS {
        let calls = sweep(how, async |fault| survives(&open, &observer, &clock, card, fault).await).await;
        assert!(calls >= CALLS, "{how:?}: only {calls} calls were tried");
    }
}

async fn in_sqlite(card: &str) {
    let (database, clock) = (databases::sqlite(), Clock::default());
    matrix(|| open_sqlite(&database, &clock), clock.clone(), card).await;
}

async fn open_sqlite(database: &Database, clock: &Clock) -> workflow_sqlite::Sqlite {
    let options = workflow_sqlite::Options::default().clock(clock.clone());
    workflow_sqlite::Sqlite::connect(&database.url, options).await.unwrap()
}

async fn in_postgres(card: &str) {
    let (database, clock) = (databases::postgres().await, Clock::default());
    matrix(|| open_postgres(&database, &clock), clock.clone(), card).await;
}

async fn open_postgres(database: &Database, clock: &Clock) -> workflow_postgres::Postgres {
    let options = workflow_postgres::Options::default().clock(clock.clone()).pool_size(4);
    workflow_postgres::Postgres::connect(&database.url, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_checkout_survives_every_fault_in_sqlite() {
    in_sqlite("4242424242424242").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_checkout_survives_every_fault_in_postgres() {
    in_postgres("4242424242424242").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_checkout_survives_every_fault_in_sqlite() {
    in_sqlite(DECLINED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_checkout_survives_every_fault_in_postgres() {
    in_postgres(DECLINED).await;
}
