//! A card that is declined: the order is taken back, and the answer is final. A charge whose answer is lost is not.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use checkout::{
    Answer, Card, Charge, Gateway, GatewayError, Order, Outcome, SecretKeys, Shop, ShopSql, ShopStore, Stamp,
    checkout,
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::sync::Semaphore;
use workflow::{InDoubt, Key, Runner};

use super::place::{Place, good, lines, on_both, on_store, until};
use super::stub::{Stub, Trouble};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample.txt");
const DECLINED: &str = "4000000000000002";

/// The steps of a declined order, each with the point that it reached.
const TAKEN_BACK: [(&str, &str); 4] = [
    ("reserve_stock", "stock_reserved"),
    ("capture_payment", "capture_payment.refused"),
    ("undo:reserve_stock", "reserve_stock.undone"),
    ("capture_payment", "finished"),
];

fn steps(key: &Value) -> Vec<(&str, &str)> {
    let steps = key["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["name"].as_str().unwrap(), step["recovery_point"].as_str().unwrap())).collect()
}

fn order(card: &str) -> Order {
    Order {
        order_id: "o-1".into(),
        sku: "duck".into(),
        qty: 3,
        amount: 1299,
        currency: "EUR".into(),
        card: Card::new(card),
    }
}

/// A gateway whose first answer is lost on the way. Asked again, it says so, and answers when it may.
struct Loses {
    gateway: Arc<dyn Gateway>,
    first: AtomicBool,
    asked_again: Semaphore,
    may_answer: Semaphore,
}

impl Loses {
    fn new(gateway: Arc<dyn Gateway>) -> Arc<Self> {
        let [asked_again, may_answer] = [Semaphore::new(0), Semaphore::new(0)];
        Arc::new(Self { gateway, first: AtomicBool::new(true), asked_again, may_answer })
    }
}

impl Gateway for Loses {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        Box::pin(async move {
            let verdict = self.gateway.charge(stamp, charge).await?;
            if self.first.swap(false, Ordering::SeqCst) {
                return Err(GatewayError::Unknown(InDoubt::new("connection reset")));
            }
            self.asked_again.add_permits(1);
            // Closed when it may answer.
            let _ = self.may_answer.acquire().await;
            Ok(verdict)
        })
    }

    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        self.gateway.refund(stamp, charge_id)
    }
}

fn keys() -> SecretKeys {
    "11".repeat(32).parse().unwrap()
}

fn runner<S: ShopStore>(place: &Place, store: S) -> (Runner<S, Shop>, Arc<Loses>) {
    let (database, calls, running) = place.settings();
    let mut shop = checkout::shop(&database, &calls, running.stock).unwrap();
    let gateway = Loses::new(shop.gateway);
    shop.gateway = gateway.clone();
    (checkout::runner(store, &keys(), &running, shop).unwrap(), gateway)
}

/// What is left of the ducks.
async fn left<S: ShopStore>(store: &S) -> i64 {
    store.reader().await.unwrap().stock("", 10).await.unwrap().first().map_or(-1, |stock| stock.left)
}

fn outcomes(place: &Place) -> Vec<Outcome> {
    checkout::ledger_lines(&place.ledger()).unwrap().map(|line| line.unwrap().outcome).collect()
}

async fn a_decline_is_taken_back(place: &Place) {
    on_store!(place, store => {
        let (runner, gateway) = runner(place, store.clone());
        let key = Key::new("tenant", "k").unwrap();
        let running = tokio::spawn(runner.run(checkout, key.clone(), order(DECLINED)));
        let _ = gateway.asked_again.acquire().await.unwrap();
        assert_eq!(left(&store).await, 7, "the stock is held while nobody knows");
        gateway.may_answer.close();
        let declined = running.await.unwrap().unwrap();
        assert_eq!((declined.status(), declined.header("content-type")), (402, Some("application/problem+json")));
        assert_eq!(left(&store).await, 10, "the stock was not given back");
        let mut reader = store.reader().await.unwrap();
        assert_eq!(reader.orders(("", ""), 10).await.unwrap(), []);
        assert_eq!(reader.jobs(uuid::Uuid::nil(), 10).await.unwrap(), []);
        drop(reader);
        let again = runner.run(checkout, key, order(DECLINED)).await.unwrap();
        assert!(again.replayed() && again.response() == declined.response());
        assert_eq!(outcomes(place), [Outcome::Declined, Outcome::Declined]);
        let mut audit = Vec::new();
        checkout::write_audit(store.clone(), &keys(), &mut audit).await.unwrap();
        let audit = lines(&audit).pop().unwrap();
        assert_eq!(steps(&audit), TAKEN_BACK);
        assert_eq!((&audit["recovery_point"], &audit["status"]), (&"finished".into(), &"finished".into()));
        let failed = &audit["failed_attempts"];
        assert_eq!((&failed[0]["step"], &failed[0]["attempt"]), (&"capture_payment".into(), &1.into()));
        assert_eq!((&failed[0]["in_doubt"], &failed[1]), (&true.into(), &Value::Null));
        // The number is free again.
        let other = Key::new("tenant", "other").unwrap();
        let placed = runner.run(checkout, other, order("4242424242424242")).await.unwrap();
        assert_eq!((placed.status(), left(&store).await), (201, 7));
    });
}

async fn a_lost_charge_is_found_again(place: &Place) {
    on_store!(place, store => {
        let (runner, gateway) = runner(place, store.clone());
        gateway.may_answer.close();
        let key = Key::new("tenant", "k").unwrap();
        let placed = runner.run(checkout, key, order("4242424242424242")).await.unwrap();
        assert_eq!((placed.status(), left(&store).await), (201, 7));
        assert_eq!(outcomes(place), [Outcome::Captured, Outcome::Replayed]);
        let jobs = store.reader().await.unwrap().jobs(uuid::Uuid::nil(), 10).await.unwrap();
        assert_eq!(jobs.iter().map(|job| job.order_id.as_deref()).collect::<Vec<_>>(), [Some("o-1")]);
    });
}

/// While it is there, the undo of `reserve_stock` fails, on SQLite and on PostgreSQL.
const STUCK: [&str; 2] = [
    "CREATE TRIGGER stuck BEFORE DELETE ON shop_orders BEGIN SELECT RAISE(ABORT, 'stuck'); END",
    "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'stuck'; END $$;
    CREATE TRIGGER stuck BEFORE DELETE ON shop_orders FOR EACH ROW EXECUTE FUNCTION stuck()",
];
const LOOSE: [&str; 2] = ["DROP TRIGGER stuck", "DROP TRIGGER stuck ON shop_orders"];

async fn sql(place: &Place, both: [&'static str; 2]) {
    match place.is_postgres() {
        true => {
            let mut conn = PgConnection::connect(place.database_url()).await.unwrap();
            sqlx::raw_sql(both[1]).execute(&mut conn).await.unwrap();
        }
        false => {
            let mut conn = SqliteConnection::connect(place.database_url()).await.unwrap();
            sqlx::raw_sql(both[0]).execute(&mut conn).await.unwrap();
        }
    }
}

async fn a_decline_is_taken_back_after_a_kill(place: &Place) {
    good(place.run(&["migrate"]));
    sql(place, STUCK).await;
    let stub = Stub::start(Trouble::Declines).await;
    let import = ["import", FILE, "--limit", "1", "--json", "--gateway-url", &stub.url];
    let mut killed = place.command(&import).spawn().unwrap();
    let stuck = |key: &Value| key["status"] == "undoing" && key["failed_attempts"] != json!([]);
    let undoing = until(|| place.lines(&["audit"]).pop().filter(stuck)).await;
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().signal(), Some(9));
    assert_eq!(undoing["recovery_point"], "capture_payment.refused");
    assert_eq!(steps(&undoing), TAKEN_BACK[..3]);
    assert_eq!((&undoing["steps"][2]["reached_at"], &undoing["response_code"]), (&Value::Null, &Value::Null));
    let failed = &undoing["failed_attempts"][0];
    assert_eq!((&failed["step"], &failed["in_doubt"]), (&"undo:reserve_stock".into(), &false.into()));
    assert_eq!(place.lines(&["orders"]).len(), 1, "it was not given back yet");

    sql(place, LOOSE).await;
    let summary = place.lines(&import).pop().unwrap();
    assert_eq!((&summary["refused"], &summary["replayed"]), (&1.into(), &0.into()), "{summary}");
    assert_eq!(place.lines(&["orders"]), [Value::Null; 0]);
    let stock = place.lines(&["stock"]).pop().unwrap();
    assert_eq!(stock["left"], stock["opening"]);
    assert_eq!(stub.calls().len(), 1, "a decline that is stored was asked for again");
    let finished = place.lines(&["audit"]).pop().unwrap();
    assert_eq!(steps(&finished), TAKEN_BACK);
    assert_eq!((&finished["status"], &finished["response_code"]), (&"finished".into(), &402.into()));
    assert_eq!(place.lines(&import).pop().unwrap()["replayed"], 1);
    assert_eq!(place.lines(&["audit"]).pop().unwrap()["response_sha256"], finished["response_sha256"]);
}

async fn what_is_not_in_stock_is_not_charged(place: &Place) {
    on_store!(place, store => {
        let (runner, _) = runner(place, store.clone());
        let key = Key::new("tenant", "k").unwrap();
        let order = Order { qty: 11, ..order("4242424242424242") };
        let refused = runner.run(checkout, key, order).await.unwrap();
        assert_eq!(refused.status(), 409);
        assert!(String::from_utf8_lossy(refused.body()).contains("/out-of-stock\""));
        assert_eq!(outcomes(place), []);
        assert_eq!(store.reader().await.unwrap().orders(("", ""), 10).await.unwrap(), []);
    });
}

on_both! {
    a_decline_is_taken_back: a_decline_is_taken_back_on_sqlite, a_decline_is_taken_back_on_postgres;
    a_decline_is_taken_back_after_a_kill: a_decline_is_taken_back_after_a_kill_on_sqlite,
        a_decline_is_taken_back_after_a_kill_on_postgres;
    a_lost_charge_is_found_again: a_lost_charge_is_found_again_on_sqlite, a_lost_charge_is_found_again_on_postgres;
    what_is_not_in_stock_is_not_charged: what_is_not_in_stock_is_not_charged_on_sqlite,
        what_is_not_in_stock_is_not_charged_on_postgres;
}
