//! One order under fifty keys at once: one of them reaches the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use checkout::{Answer, Card, Charge, Gateway, Order, Secret, Stamp, checkout};
use tokio::sync::Barrier;
use workflow::Key;

use super::place::{Place, on_store};

const KEYS: usize = 50;

struct Counts(Arc<dyn Gateway>, AtomicUsize);

impl Gateway for Counts {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.charge(stamp, charge)
    }

    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        self.0.refund(stamp, charge_id)
    }
}

async fn one_of_fifty_keys_is_charged(place: &Place) {
    on_store!(place, store => {
        let (database, calls, running) = place.settings();
        let secret = Secret { secret_key: Some("22".repeat(32)) };
        let keys = checkout::secret_keys(&store, &database, &secret).await.unwrap();
        let mut shop = checkout::shop(&database, &calls, running.stock).unwrap();
        let counts = Arc::new(Counts(shop.gateway, AtomicUsize::new(0)));
        shop.gateway = counts.clone();
        let runner = checkout::runner(store, &keys, &running, shop).unwrap();
        let barrier = Arc::new(Barrier::new(KEYS));
        let asked: Vec<_> = (0..KEYS)
            .map(|i| {
                let (runner, barrier) = (runner.clone(), barrier.clone());
                tokio::spawn(async move {
                    let key = Key::new("tenant", format!("key-{i}")).unwrap();
                    barrier.wait().await;
                    runner.run(checkout, key, order()).await.unwrap()
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for one in asked {
            let answered = one.await.unwrap();
            if answered.status() == 409 {
                assert!(String::from_utf8_lossy(answered.body()).contains("/order-exists\""));
            }
            statuses.push(answered.status());
        }
        statuses.sort_unstable();
        assert_eq!(statuses[0], 201);
        assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
        assert_eq!(counts.1.load(Ordering::SeqCst), 1);
    });
}

fn order() -> Order {
    Order {
        order_id: "the one".into(),
        sku: "duck".into(),
        qty: 1,
        amount: 500,
        currency: "EUR".into(),
        card: Card::new("4242424242424242"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_keys_is_charged_on_sqlite() {
    one_of_fifty_keys_is_charged(&Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_keys_is_charged_on_postgres() {
    let place = Place::postgres().await;
    one_of_fifty_keys_is_charged(&place).await;
    place.close().await;
}
