//! After the reaper: a key is a new request, an order is still the old one, and what was refunded is charged anew.

use std::sync::Arc;

use checkout::{
    Answer, Card, Charge, Gateway, Line, Order, Outcome, Running, SecretKeys, Shop, ShopSql, ShopStore,
    Stamp, checkout,
};
use tokio::sync::Semaphore;
use workflow::{Error, Key, Runner};

use super::place::{Place, on_both, on_store};

/// What a relay does.
const DELIVER: &str = "UPDATE workflow_staged_jobs SET delivered_at = staged_at";

/// A gateway that has charged, and whose answer waits until it may go.
struct Waits {
    gateway: Arc<dyn Gateway>,
    charged: Semaphore,
    may_answer: Semaphore,
}

impl Gateway for Waits {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        Box::pin(async move {
            let verdict = self.gateway.charge(stamp, charge).await?;
            self.charged.add_permits(1);
            // Closed when all may answer.
            let _ = self.may_answer.acquire().await;
            Ok(verdict)
        })
    }

    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        self.gateway.refund(stamp, charge_id)
    }
}

/// Its keys are over as soon as they are finished.
fn runner<S: ShopStore>(place: &Place, store: S) -> (Runner<S, Shop>, Arc<Waits>) {
    let (database, calls, running) = place.settings();
    let running = Running { retention_ms: 0, ..running };
    let mut shop = checkout::shop(&database, &calls, running.stock).unwrap();
    let [charged, may_answer] = [Semaphore::new(0), Semaphore::new(0)];
    let gateway = Arc::new(Waits { gateway: shop.gateway, charged, may_answer });
    shop.gateway = gateway.clone();
    let keys: SecretKeys = "33".repeat(32).parse().unwrap();
    (checkout::runner(store, &keys, &running, shop).unwrap(), gateway)
}

fn order(order_id: &str) -> Order {
    Order {
        order_id: order_id.into(),
        sku: "duck".into(),
        qty: 3,
        amount: 1299,
        currency: "EUR".into(),
        card: Card::new("4242424242424242"),
    }
}

fn key() -> Key {
    Key::new("tenant", "k").unwrap()
}

fn ledger(place: &Place) -> Vec<Line> {
    checkout::ledger_lines(&place.ledger()).unwrap().map(Result::unwrap).collect()
}

async fn a_reaped_key_orders_anew_but_not_the_same_order(place: &Place) {
    on_store!(place, store => {
        let (runner, gateway) = runner(place, store.clone());
        gateway.may_answer.close();
        let placed = runner.run(checkout, key(), order("o-1")).await.unwrap();
        assert_eq!((placed.status(), runner.reap(10).await.unwrap()), (201, 0), "its receipt is not delivered");
        assert!(runner.run(checkout, key(), order("o-1")).await.unwrap().replayed());
        sqlx::query(DELIVER).execute(store.pool()).await.unwrap();
        assert_eq!(runner.reap(10).await.unwrap(), 1);

        let exists = runner.run(checkout, key(), order("o-1")).await.unwrap();
        assert_eq!((exists.status(), exists.replayed()), (409, false));
        assert!(String::from_utf8_lossy(exists.body()).contains("/order-exists\""));
        let other = runner.run(checkout, key(), order("o-2")).await;
        assert!(matches!(other, Err(Error::Mismatch { .. })));
        assert_eq!(runner.reap(10).await.unwrap(), 1);

        let other = runner.run(checkout, key(), order("o-2")).await.unwrap();
        assert_eq!((other.status(), other.replayed()), (201, false));
        let outcomes: Vec<_> = ledger(place).into_iter().map(|line| (line.order_id, line.outcome)).collect();
        assert_eq!(outcomes, [("o-1".into(), Outcome::Captured), ("o-2".into(), Outcome::Captured)]);
        assert_eq!(store.reader().await.unwrap().orders(("", ""), 10).await.unwrap().len(), 2);
    });
}

/// The other side would answer the old effect key with the charge that was given back.
async fn a_refunded_key_is_charged_anew(place: &Place) {
    on_store!(place, store => {
        let (runner, gateway) = runner(place, store.clone());
        let running = tokio::spawn(runner.run(checkout, key(), order("o-1")));
        gateway.charged.acquire().await.unwrap().forget();
        assert!(matches!(runner.cancel(key(), None).await, Err(Error::InProgress { .. })));
        gateway.may_answer.close();
        let cancelled = running.await.unwrap().unwrap();
        assert_eq!((cancelled.status(), runner.reap(10).await.unwrap()), (409, 1));

        let placed = runner.run(checkout, key(), order("o-1")).await.unwrap();
        assert_eq!((placed.status(), placed.replayed()), (201, false));
        let lines = ledger(place);
        let outcomes: Vec<_> = lines.iter().map(|line| line.outcome).collect();
        assert_eq!(outcomes, [Outcome::Captured, Outcome::Refunded, Outcome::Captured]);
        assert_eq!(lines[0].charge_id, lines[1].charge_id);
        assert_ne!(lines[0].charge_id, lines[2].charge_id);
        assert!(lines[0].effect_key != lines[2].effect_key && lines[2].amount == 1299);
        let charge_id = lines[2].charge_id.clone().unwrap();
        assert!(String::from_utf8_lossy(placed.body()).contains(&charge_id), "the receipt names the second");
        let stock = store.reader().await.unwrap().stock("", 10).await.unwrap();
        assert_eq!(stock[0].left, 7);
    });
}

on_both! {
    a_reaped_key_orders_anew_but_not_the_same_order:
        a_reaped_key_orders_anew_but_not_the_same_order_on_sqlite,
        a_reaped_key_orders_anew_but_not_the_same_order_on_postgres;
    a_refunded_key_is_charged_anew: a_refunded_key_is_charged_anew_on_sqlite,
        a_refunded_key_is_charged_anew_on_postgres;
}
