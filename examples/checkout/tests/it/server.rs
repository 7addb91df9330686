//! `checkout serve` as a process, and a client of it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::place::Place;

pub(crate) const CARD: &str = "4242424242424242";
pub(crate) const DECLINED_CARD: &str = "4000000000000002";

/// A server in a place. It is killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    client: Client,
}

/// What came back: all that a replay has to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Server {
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, "127.0.0.1:0", &[])
    }

    /// With more arguments. Its log goes to a file of the place.
    pub(crate) fn start_with(place: &Place, listen: &str, more: &[&str]) -> Self {
        let log = File::options().create(true).append(true).open(place.path().join("serve.log")).unwrap();
        let mut command = place.command(&["serve", "--listen", listen]);
        let mut child = command.args(more).stderr(Stdio::from(log)).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, url, client: Client::new() }
    }

    /// The address without the scheme, to start another one at.
    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// Returns when the shop is open.
    pub(crate) async fn opened(self) -> Self {
        let started = Instant::now();
        while self.get("/readyz").send().await.map_or(0, |ready| ready.status().as_u16()) != 200 {
            assert!(started.elapsed() < Duration::from_secs(60), "the shop does not open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// A checkout of this tenant under this key.
    pub(crate) fn checkout(&self, tenant: &str, key: &str, order: &Value) -> RequestBuilder {
        self.post("/checkouts").bearer_auth(tenant).header("idempotency-key", key).json(order)
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and returns how it did.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn order(order_id: &str) -> Value {
    json!({ "order_id": order_id, "sku": "cd-blue", "qty": 1, "amount": 1177, "currency": "USD", "card": CARD })
}

/// The order with one member changed.
pub(crate) fn but(mut order: Value, member: &str, value: impl Into<Value>) -> Value {
    order[member] = value.into();
    order
}

pub(crate) async fn came(response: Response) -> Came {
    let (status, content_type) = (response.status().as_u16(), header(&response, "content-type").to_owned());
    Came { status, content_type, body: response.bytes().await.unwrap().to_vec() }
}

pub(crate) fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The name of a problem: the last part of its type.
pub(crate) fn kind(came: &Came) -> String {
    assert_eq!(came.content_type, "application/problem+json", "{came:?}");
    let problem: Value = serde_json::from_slice(&came.body).unwrap();
    assert_eq!(problem["status"], came.status, "{problem}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}
