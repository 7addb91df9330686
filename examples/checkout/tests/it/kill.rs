//! An import that is killed 25 times, all over its run: in the end every purchase is placed and charged once.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use checkout::Outcome;
use sqlx::{Connection, PgConnection};

use super::place::Place;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_sample.txt");
const PURCHASES: usize = 6919;
const CENTS: i64 = 24_409_194;
const RECORDS: i64 = 16_479;
const KILLS: u64 = 25;
/// About the length of a ledger's line: near enough to spread the kills.
const LINE: u64 = 250;
/// An import that makes no progress for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn an_import_survives_25_kills_on_sqlite() {
    survives_kills(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_survives_25_kills_on_postgres() {
    survives_kills(Place::postgres().await).await;
}

async fn survives_kills(place: Place) {
    let mut random = Random(42);
    for kill in 0..KILLS {
        let import = place.command(&["import", FILE, "--json"]).spawn().unwrap();
        match kill % 5 {
            // While it starts, or waits for what the last one left behind.
            4 => std::thread::sleep(Duration::from_millis(random.below(600))),
            _ => {
                let share = PURCHASES as u64 * LINE / (KILLS + 1);
                wait_for(&place.ledger(), kill * share + random.below(share), &import);
                std::thread::sleep(Duration::from_millis(random.below(20)));
            }
        }
        killed(import);
    }
    let summary = place.lines(&["import", FILE, "--json"]).pop().unwrap();
    assert_eq!(summary["answered"], PURCHASES, "{summary}");
    assert_eq!(summary["placed"], PURCHASES, "{summary}");
    every_purchase_was_charged_once(&place);
    every_order_stands(&place);
    the_kills_left_their_mark(&place);
    no_card_is_stored(&place).await;
    place.close().await;
}

fn wait_for(ledger: &Path, length: u64, import: &Child) {
    let started = Instant::now();
    while fs::metadata(ledger).map_or(0, |ledger| ledger.len()) < length {
        assert!(started.elapsed() < PATIENCE, "process {} makes no progress", import.id());
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn killed(mut import: Child) {
    import.kill().unwrap();
    let status = import.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "it ended by itself: {status}");
}

fn every_purchase_was_charged_once(place: &Place) {
    let (mut keys, mut charges, mut orders) = (HashMap::new(), HashSet::new(), HashSet::new());
    let mut cents = 0;
    for line in checkout::ledger_lines(&place.ledger()).unwrap() {
        let line = line.unwrap();
        let charge = line.charge_id.clone().unwrap();
        match line.outcome {
            Outcome::Captured => {
                cents += line.amount;
                assert!(orders.insert(line.order_id.clone()), "{} was charged twice", line.order_id);
                assert!(charges.insert(charge.clone()));
                assert_eq!(keys.insert(line.effect_key, charge), None);
            }
            Outcome::Replayed => assert_eq!(keys.get(&line.effect_key), Some(&charge)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((keys.len(), charges.len(), cents), (PURCHASES, PURCHASES, CENTS));
}

fn every_order_stands(place: &Place) {
    let captured: HashMap<_, _> = checkout::ledger_lines(&place.ledger())
        .unwrap()
        .map(|line| line.unwrap())
        .filter(|line| line.outcome == Outcome::Captured)
        .map(|line| (line.order_id, line.charge_id.unwrap()))
        .collect();
    let orders = place.lines(&["orders"]);
    assert_eq!(orders.len(), PURCHASES);
    assert_eq!(orders.iter().map(|order| order["amount"].as_i64().unwrap()).sum::<i64>(), CENTS);
    for order in &orders {
        assert_eq!(captured[order["order_id"].as_str().unwrap()], order["charge_id"]);
    }
    let stock = place.lines(&["stock"]).pop().unwrap();
    assert_eq!(stock["opening"].as_i64().unwrap() - stock["left"].as_i64().unwrap(), RECORDS);
    let receipts: HashSet<_> =
        place.lines(&["outbox"]).iter().map(|job| job["order_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(receipts.len(), PURCHASES);
    assert_eq!(place.lines(&["outbox"]).len(), PURCHASES);
}

/// Otherwise nothing was proved.
fn the_kills_left_their_mark(place: &Place) {
    let audit = place.lines(&["audit"]);
    assert_eq!(audit.len(), PURCHASES);
    for key in &audit {
        assert_eq!(key["status"], "finished");
        let steps: Vec<_> = key["steps"].as_array().unwrap().iter().map(|step| &step["name"]).collect();
        assert_eq!(steps, ["reserve_stock", "capture_payment", "place_order", "notify_warehouse"]);
    }
    let taken_over = audit.iter().filter(|key| key["fence"].as_i64().unwrap() > 1).count();
    assert!(taken_over >= KILLS as usize, "only {taken_over} keys were taken over");
    let replayed = checkout::ledger_lines(&place.ledger())
        .unwrap()
        .filter(|line| line.as_ref().unwrap().outcome == Outcome::Replayed)
        .count();
    assert!(replayed > 0, "no kill hit between a charge and its recovery point");
}

const TABLES: [&str; 4] = [
    "workflow_idempotency_keys",
    "workflow_recovery_points",
    "workflow_failed_attempts",
    "workflow_staged_jobs",
];

/// As text, as hex, as base64 at any offset.
const CARD: [&str; 3] = ["4242424242424242", "34323432343234323432", "NDI0MjQyNDI0MjQy"];

pub(crate) async fn no_card_is_stored(place: &Place) {
    for file in fs::read_dir(place.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for card in CARD {
            let found = bytes.windows(card.len()).any(|window| window == card.as_bytes());
            assert!(!found, "{card} stands in {}", path.display());
        }
    }
    if place.is_postgres() {
        let mut conn = PgConnection::connect(place.database_url()).await.unwrap();
        for table in TABLES {
            for card in CARD {
                let sql = format!("SELECT count(*) FROM {table} AS r WHERE r::text LIKE '%{card}%'");
                let rows: i64 =
                    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut conn).await.unwrap();
                assert_eq!(rows, 0, "{card} stands in {table}");
            }
        }
    }
}

/// The same moments at every run, as far as the machine allows.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
