//! A server in the test's own process, and a customer who talks to it over HTTP as Medusa's client does.

use std::sync::Arc;
use std::time::Duration;

use medusa_cart::{
    AnyStore, App, Book, Complete, Payments, ShopStore, Summary, adopt, complete_cart, forget, router, runner,
};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use workflow::{Key, Runner, Stepped};

use crate::place::{Place, execute, number};
use crate::stub::Stub;

/// Long enough that no lease runs out in a test that does not want it.
const LEASE: Duration = Duration::from_secs(30);

/// A customer, and the shop's database to look into.
pub(crate) struct Desk {
    customer: Customer,
    pub(crate) store: AnyStore,
    runner: AnyRunner,
    pub(crate) payments: Arc<Stub>,
}

enum AnyRunner {
    Sqlite(Runner<workflow_sqlite::Sqlite, App>),
    Postgres(Runner<workflow_postgres::Postgres, App>),
}

/// Who talks to a server.
#[derive(Clone)]
pub(crate) struct Customer {
    client: Client,
    base: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) body: Value,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// Status, and the members of Medusa's errors.
    pub(crate) fn refusal(&self) -> (u16, &str, Option<&str>) {
        (self.status, self.body["type"].as_str().unwrap_or("?"), self.body["code"].as_str())
    }
}

impl Desk {
    pub(crate) async fn open(place: &Place) -> Self {
        Self::with(place, |_| {}).await
    }

    /// With a provider that is set up so.
    pub(crate) async fn with(place: &Place, set_up: impl FnOnce(&mut Stub)) -> Self {
        let store = place.store().await;
        match store {
            AnyStore::Sqlite(store) => {
                let (payments, runner) = opened(&store, set_up);
                let customer = served(&runner).await;
                Self { customer, store: AnyStore::Sqlite(store), runner: AnyRunner::Sqlite(runner), payments }
            }
            AnyStore::Postgres(store) => {
                let (payments, runner) = opened(&store, set_up);
                let customer = served(&runner).await;
                let (store, runner) = (AnyStore::Postgres(store), AnyRunner::Postgres(runner));
                Self { customer, store, runner, payments }
            }
        }
    }

    pub(crate) fn customer(&self) -> Customer {
        self.customer.clone()
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        number(&self.store, sql).await
    }

    pub(crate) async fn execute(&self, sql: &'static str, args: Vec<medusa_cart::Arg>) -> u64 {
        execute(&self.store, sql, args).await
    }

    /// The names of the steps that a completion has run, and of the points that they reached.
    pub(crate) async fn journal(&self, scope: &str, key: &str) -> Vec<(String, String)> {
        let key = Key::new(scope, key).unwrap();
        let rows = match &self.runner {
            AnyRunner::Sqlite(runner) => {
                let id = runner.status(&key).await.unwrap().unwrap().id;
                runner.journal(&[id]).await.unwrap()
            }
            AnyRunner::Postgres(runner) => {
                let id = runner.status(&key).await.unwrap().unwrap().id;
                runner.journal(&[id]).await.unwrap()
            }
        };
        rows.into_iter().map(|row| (row.step, row.name)).collect()
    }

    /// The status and the point of a key, if there is one.
    pub(crate) async fn stands(&self, scope: &str, key: &str) -> Option<(String, String)> {
        let key = Key::new(scope, key).unwrap();
        let status = match &self.runner {
            AnyRunner::Sqlite(runner) => runner.status(&key).await.unwrap(),
            AnyRunner::Postgres(runner) => runner.status(&key).await.unwrap(),
        };
        status.map(|status| (status.status.to_string(), status.recovery_point))
    }

    /// Takes a cart's completion in as far as its start, and runs no step.
    pub(crate) async fn begin(&self, cart_id: &str, key: &str) {
        let (key, request) = (Key::new(cart_id, key).unwrap(), Complete::cart(cart_id));
        let is_new = match &self.runner {
            AnyRunner::Sqlite(runner) => runner.call(complete_cart, key, request).adopt().plant().await,
            AnyRunner::Postgres(runner) => runner.call(complete_cart, key, request).adopt().plant().await,
        };
        assert!(is_new.unwrap());
    }

    /// Runs one step of a key.
    pub(crate) async fn step(&self, cart_id: &str, key: &str) -> Stepped {
        let key = Key::new(cart_id, key).unwrap();
        match &self.runner {
            AnyRunner::Sqlite(runner) => runner.step(key).await.unwrap(),
            AnyRunner::Postgres(runner) => runner.step(key).await.unwrap(),
        }
    }

    /// Forgets what may be forgotten: how many keys.
    pub(crate) async fn forget(&self) -> usize {
        match &self.runner {
            AnyRunner::Sqlite(runner) => forget(runner).await.unwrap(),
            AnyRunner::Postgres(runner) => forget(runner).await.unwrap(),
        }
    }

    /// As if every finished key were past its retention.
    pub(crate) async fn outlive(&self) {
        let sql = match &self.store {
            AnyStore::Sqlite(_) => {
                "UPDATE workflow_idempotency_keys SET expires_at = 1 WHERE finished_at > 0"
            }
            AnyStore::Postgres(_) => {
                "UPDATE workflow_idempotency_keys SET expires_at = clock_timestamp() - interval '1 second'
                WHERE finished_at IS NOT NULL"
            }
        };
        self.execute(sql, Vec::new()).await;
    }

    /// Takes the keys of a Medusa v1 over.
    pub(crate) async fn adopt(&self) -> Summary {
        match &self.runner {
            AnyRunner::Sqlite(runner) => adopt(runner).await.unwrap(),
            AnyRunner::Postgres(runner) => adopt(runner).await.unwrap(),
        }
    }
}

impl std::ops::Deref for Desk {
    type Target = Customer;

    fn deref(&self) -> &Customer {
        &self.customer
    }
}

fn opened<S: ShopStore>(store: &S, set_up: impl FnOnce(&mut Stub)) -> (Arc<Stub>, Runner<S, App>) {
    let mut stub = Stub::over(Arc::new(Book::new(store.clone())));
    set_up(&mut stub);
    let stub = Arc::new(stub);
    let payments: Arc<dyn Payments> = stub.clone();
    (stub, runner(store.clone(), payments, LEASE).unwrap())
}

async fn served<S: ShopStore>(runner: &Runner<S, App>) -> Customer {
    let router = router(runner.clone()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Customer::of(&base)
}

impl Customer {
    pub(crate) fn of(base: &str) -> Self {
        Self { client: Client::new(), base: base.to_owned() }
    }

    /// One request, which must be answered.
    pub(crate) async fn send(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> Got {
        self.try_send(method, path, key, body).await.unwrap()
    }

    /// One request; an error if no answer comes.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> reqwest::Result<Got> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?.to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Got { status, headers, bytes, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, None, &json!({})).await
    }

    pub(crate) async fn post(&self, path: &str, key: Option<&str>, body: Value) -> Got {
        self.send(Method::POST, path, key, &body).await
    }

    /// A success is taken for granted: its cart.
    pub(crate) async fn cart(&self, path: &str, body: Value) -> Value {
        let got = self.post(path, None, body).await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        got.body["cart"].clone()
    }

    /// A cart with so many of a variant: its id.
    pub(crate) async fn filled(&self, variant_id: &str, quantity: i64) -> String {
        let items = json!([{ "variant_id": variant_id, "quantity": quantity }]);
        let cart = self.cart("/store/carts", json!({ "items": items })).await;
        cart["id"].as_str().unwrap().to_owned()
    }

    /// The same, with a customer, and a payment session of this provider that is selected.
    pub(crate) async fn ready(&self, variant_id: &str, quantity: i64, provider_id: &str) -> String {
        let id = self.filled(variant_id, quantity).await;
        self.cart(&format!("/store/carts/{id}"), json!({ "email": "guest@example.com" })).await;
        self.cart(&format!("/store/carts/{id}/payment-sessions"), json!({})).await;
        self.select(&id, provider_id).await;
        id
    }

    pub(crate) async fn select(&self, cart_id: &str, provider_id: &str) -> Value {
        let body = json!({ "provider_id": provider_id });
        self.cart(&format!("/store/carts/{cart_id}/payment-session"), body).await
    }

    pub(crate) async fn complete(&self, cart_id: &str, key: Option<&str>) -> Got {
        self.post(&format!("/store/carts/{cart_id}/complete"), key, json!({})).await
    }

    /// As Medusa's client does: again after a 409 that says when, with the same key.
    pub(crate) async fn complete_patiently(&self, cart_id: &str, key: &str) -> Got {
        loop {
            let got = self.complete(cart_id, Some(key)).await;
            let Some(seconds) = got.header("retry-after") else { return got };
            assert_eq!(got.status, 409, "{}", got.body);
            let seconds: u64 = seconds.parse().unwrap();
            assert!((1..=300).contains(&seconds), "the client gives up at {seconds}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn orders(&self) -> i64 {
        self.get("/_test/count").await.body["orders"].as_i64().unwrap()
    }
}
