//! A card that is declined: the order is taken back, and the answer is final. A charge whose answer is lost is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use checkout::{
    Answer, Card, Charge, Gateway, Order, Outcome, Secret, Shop, ShopSql, ShopStore, Stamp, checkout,
};
use workflow::{Error, Key, Runner};

use super::place::{Place, on_store};

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

/// A gateway whose first answer is lost on the way.
struct Loses(Arc<dyn Gateway>, AtomicBool);

impl Gateway for Loses {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        Box::pin(async move {
            let verdict = self.0.charge(stamp, charge).await?;
            if self.1.swap(false, Ordering::SeqCst) { Err("connection reset")? } else { Ok(verdict) }
        })
    }
}

async fn runner<S: ShopStore>(place: &Place, store: S) -> Runner<S, Shop> {
    let (database, calls, running) = place.settings();
    let secret = Secret { secret_key: Some("11".repeat(32)) };
    let keys = checkout::secret_keys(&store, &database, &secret).await.unwrap();
    let mut shop = checkout::shop(&database, &calls, running.stock).unwrap();
    shop.gateway = Arc::new(Loses(shop.gateway, AtomicBool::new(true)));
    checkout::runner(store, &keys, &running, shop).unwrap()
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
        let runner = runner(place, store.clone()).await;
        let key = Key::new("tenant", "k").unwrap();
        let lost = runner.run(checkout, key.clone(), order("4000000000000002")).await;
        assert!(matches!(lost, Err(Error::Step { step: "capture_payment", .. })), "{lost:?}");
        assert_eq!(left(&store).await, 7, "the stock is held while nobody knows");
        let declined = runner.run(checkout, key.clone(), order("4000000000000002")).await.unwrap();
        assert_eq!((declined.status(), declined.header("content-type")), (402, Some("application/problem+json")));
        assert_eq!(declined.skipped(), ["reserve_stock"]);
        assert_eq!(left(&store).await, 10, "the stock was not given back");
        let mut reader = store.reader().await.unwrap();
        assert_eq!(reader.orders(("", ""), 10).await.unwrap(), []);
        assert_eq!(reader.jobs(uuid::Uuid::nil(), 10).await.unwrap(), []);
        drop(reader);
        let again = runner.run(checkout, key, order("4000000000000002")).await.unwrap();
        assert!(again.replayed() && again.response() == declined.response());
        assert_eq!(outcomes(place), [Outcome::Declined, Outcome::Declined]);
        // The number is free again.
        let other = Key::new("tenant", "other").unwrap();
        let placed = runner.run(checkout, other, order("4242424242424242")).await.unwrap();
        assert_eq!((placed.status(), left(&store).await), (201, 7));
    });
}

async fn a_lost_charge_is_found_again(place: &Place) {
    on_store!(place, store => {
        let runner = runner(place, store.clone()).await;
        let key = Key::new("tenant", "k").unwrap();
        let lost = runner.run(checkout, key.clone(), order("4242424242424242")).await;
        assert!(matches!(lost, Err(Error::Step { step: "capture_payment", .. })), "{lost:?}");
        let placed = runner.run(checkout, key, order("4242424242424242")).await.unwrap();
        assert_eq!((placed.status(), left(&store).await), (201, 7));
        assert_eq!(outcomes(place), [Outcome::Captured, Outcome::Replayed]);
        let jobs = store.reader().await.unwrap().jobs(uuid::Uuid::nil(), 10).await.unwrap();
        assert_eq!(jobs.iter().map(|job| job.order_id.as_deref()).collect::<Vec<_>>(), [Some("o-1")]);
    });
}

async fn what_is_not_in_stock_is_not_charged(place: &Place) {
    on_store!(place, store => {
        let runner = runner(place, store.clone()).await;
        let key = Key::new("tenant", "k").unwrap();
        let order = Order { qty: 11, ..order("4242424242424242") };
        let refused = runner.run(checkout, key, order).await.unwrap();
        assert_eq!(refused.status(), 409);
        assert!(String::from_utf8_lossy(refused.body()).contains("/out-of-stock\""));
        assert_eq!(outcomes(place), []);
        assert_eq!(store.reader().await.unwrap().orders(("", ""), 10).await.unwrap(), []);
    });
}

macro_rules! on_both {
    ($($test:ident: $sqlite:ident, $postgres:ident;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $test(&Place::sqlite()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let place = Place::postgres().await;
            $test(&place).await;
            place.close().await;
        }
    )+};
}

on_both! {
    a_decline_is_taken_back: a_decline_is_taken_back_on_sqlite, a_decline_is_taken_back_on_postgres;
    a_lost_charge_is_found_again: a_lost_charge_is_found_again_on_sqlite, a_lost_charge_is_found_again_on_postgres;
    what_is_not_in_stock_is_not_charged: what_is_not_in_stock_is_not_charged_on_sqlite,
        what_is_not_in_stock_is_not_charged_on_postgres;
}
