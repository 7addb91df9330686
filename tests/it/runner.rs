//! The runner as a caller meets it: what it returns, when it starts, what survives a caller who goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Barrier;
use workflow::seam::{Filter, Status};
use workflow::{
    Atomic, Error, Foreign, Key, Origin, Reach, RecoveryPoint, Response, Runner, Step, Stranded, Workflow,
};
use workflow_testkit::{Faulty, Memory, MemoryConn};

#[derive(Clone, Serialize, Deserialize)]
struct Cart {
    cents: i64,
}

#[derive(Serialize, Deserialize)]
struct Reserved;

#[derive(Serialize, Deserialize)]
struct Charged {
    charge_id: String,
}

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}

impl RecoveryPoint for Reserved {
    const NAME: &'static str = "reserved";
}

impl RecoveryPoint for Charged {
    const NAME: &'static str = "charged";
}

/// A shop whose charge may fail, and meets the test on its way if it is asked to.
struct Shop {
    fail: AtomicU32,
    charges: AtomicU32,
    meet: Option<[Barrier; 2]>,
}

impl Shop {
    fn failing(times: u32) -> Arc<Self> {
        Arc::new(Self { fail: AtomicU32::new(times), charges: AtomicU32::new(0), meet: None })
    }

    fn meeting() -> Arc<Self> {
        let meet = Some([Barrier::new(2), Barrier::new(2)]);
        Arc::new(Self { fail: AtomicU32::new(0), charges: AtomicU32::new(0), meet })
    }

    async fn arrived(&self) {
        self.meet.as_ref().unwrap()[0].wait().await;
    }

    async fn go_on(&self) {
        self.meet.as_ref().unwrap()[1].wait().await;
    }
}

type Atom<'c> = Atomic<'c, MemoryConn, Shop, Cart>;
type Call<'c> = Foreign<'c, Shop, Cart>;

async fn reserve(cx: Atom<'_>, _: Cart) -> Step<Reserved> {
    cx.conn.add("reserved", 1);
    Ok(Reserved)
}

async fn charge(cx: Call<'_>, _: Reserved) -> Step<Charged> {
    cx.app.charges.fetch_add(1, Ordering::SeqCst);
    if let Some([arrived, go_on]) = &cx.app.meet {
        arrived.wait().await;
        go_on.wait().await;
    }
    if cx.app.fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        Err(std::io::Error::other("the gateway is away"))?;
    }
    Ok(Charged { charge_id: format!("ch_{}", cx.attempt()) })
}

async fn place(cx: Atom<'_>, charged: Charged) -> Step<Response> {
    cx.stage("receipt", &json!({ "charge_id": charged.charge_id }))?;
    Ok(Response::new(201, json!({ "charge_id": charged.charge_id })).with_header("Location", "/orders/7"))
}

fn buy() -> Workflow<MemoryConn, Shop, Cart> {
    Workflow::new("buy").atomic("reserve", reserve).foreign("charge", charge).atomic("place", place).build()
}

fn key() -> Key {
    Key::new("tenant", "k").unwrap()
}

fn runner(store: &Memory, shop: &Arc<Shop>) -> Runner<Memory, Shop> {
    Runner::builder(store.clone(), shop.clone()).with(buy).build().unwrap()
}

const CART: Cart = Cart { cents: 2000 };

#[tokio::test]
async fn an_answer_says_how_it_came_about() {
    let (store, shop) = (Memory::new(), Shop::failing(1));
    let runner = runner(&store, &shop);
    let error = runner.run(buy, key(), CART).await.unwrap_err();
    assert!(matches!(&error, Error::Step { step: "charge", point, .. } if point == "reserved"), "{error}");
    assert_eq!(
        error.to_string(),
        format!("key {}: step `charge` failed at recovery point `reserved` and may be tried again", key())
    );
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the gateway is away");

    let resumed = runner.run(buy, key(), CART).await.unwrap();
    assert_eq!((resumed.status(), resumed.body()), (201, &br#"{"charge_id":"ch_2"}"#[..]));
    assert_eq!((resumed.ran(), resumed.skipped()), (&["charge", "place"][..], &["reserve"][..]));
    assert!(!resumed.replayed());

    let replayed = runner.run(buy, key(), CART).await.unwrap();
    assert!(replayed.replayed() && replayed.ran().is_empty() && replayed.skipped().is_empty());
    assert_eq!(replayed.response(), resumed.response());
    assert_eq!(replayed.header("location"), Some("/orders/7"));
    assert_eq!(store.get("reserved"), Some(json!(1)));
}

/// What this runner has met is looked for first: one indexed read. Another runner's insert meets the row before.
#[tokio::test]
async fn a_replay_asks_the_store_once() {
    let (store, shop) = (Faulty::new(Memory::new(), []), Shop::failing(0));
    let asked = async |runner: &Runner<Faulty<Memory>, Shop>| {
        let before = store.calls().len();
        runner.run(buy, key(), CART).await.unwrap();
        store.calls()[before..].to_vec()
    };
    let runner = || Runner::builder(store.clone(), shop.clone()).with(buy).build().unwrap();
    let (first, other) = (runner(), runner());
    assert_eq!(asked(&first).await.first(), Some(&"insert"), "a new key is not looked for");
    assert_eq!(asked(&first).await, ["find"]);
    assert_eq!(asked(&other).await, ["insert", "find"]);
    assert_eq!(asked(&other).await, ["find"]);
}

#[tokio::test]
async fn a_run_does_nothing_until_it_is_polled() {
    let (store, shop) = (Memory::new(), Shop::failing(0));
    let runner = runner(&store, &shop);
    drop(runner.run(buy, key(), CART));
    drop(runner.start(buy, key(), CART));
    tokio::task::yield_now().await;
    assert!(runner.status(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_the_run() {
    let (store, shop) = (Memory::new(), Shop::meeting());
    let runner = runner(&store, &shop);
    tokio::select! {
        _ = runner.run(buy, key(), CART) => panic!("the charge waits"),
        () = shop.arrived() => {}
    }
    // The future is dropped by now. Whoever asks again meets the run under way.
    let asked = runner.run(buy, key(), CART).await.unwrap_err();
    assert!(
        matches!(asked, Error::InProgress { retry_after, .. } if retry_after > Duration::ZERO),
        "{asked}"
    );
    shop.go_on().await;
    while runner.status(&key()).await.unwrap().unwrap().status != Status::Finished {
        tokio::task::yield_now().await;
    }
    assert_eq!(shop.charges.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn start_returns_when_the_key_is_accepted() {
    let (store, shop) = (Memory::new(), Shop::meeting());
    let runner = runner(&store, &shop);
    let handle = runner.start(buy, key(), CART).await.unwrap();
    let accepted = runner.status(&key()).await.unwrap().expect("the row is committed");
    assert_eq!(accepted.status, Status::Running);
    shop.arrived().await;
    let other = runner.start(buy, key(), Cart { cents: 1 }).await.unwrap_err();
    assert!(matches!(other, Error::Mismatch { .. }), "a mismatch is said at once, not in progress: {other}");
    shop.go_on().await;
    assert_eq!(handle.wait().await.unwrap().status(), 201);
    assert!(runner.start(buy, key(), CART).await.unwrap().wait().await.unwrap().replayed());
}

#[tokio::test]
async fn status_and_list_show_a_key_as_it_stands() {
    let (store, shop) = (Memory::new(), Shop::failing(1));
    let runner = runner(&store, &shop);
    runner.run(buy, key(), CART).await.unwrap_err();
    let failed = runner.status(&key()).await.unwrap().unwrap();
    assert_eq!(
        (failed.status, failed.recovery_point.as_str(), failed.fence),
        (Status::Running, "reserved", 1)
    );
    assert_eq!((failed.attempts, failed.step_attempts, failed.leased), (0, 1, false));
    assert!(failed.last_error.unwrap().contains("the gateway is away"));
    assert!(failed.response.is_none() && failed.finished_at.is_none());

    let other = Key::new("other", "k").unwrap();
    runner.run(buy, other.clone(), CART).await.unwrap();
    let finished = Filter { status: Some(Status::Finished), ..Filter::default() };
    let listed = runner.list(&finished).await.unwrap();
    assert_eq!(listed.iter().map(|row| &row.key).collect::<Vec<_>>(), [&other]);
    assert_eq!(listed[0].response.as_ref().unwrap().status(), 201);
    let journal = runner.journal(&[listed[0].id]).await.unwrap();
    let points: Vec<_> = journal.iter().map(|point| (point.name.as_str(), point.step.as_str())).collect();
    assert_eq!(points, [("reserved", "reserve"), ("charged", "charge"), ("finished", "place")]);
}

#[tokio::test]
async fn a_key_is_resumed_without_its_request() {
    let (store, shop) = (Memory::new(), Shop::failing(1));
    let runner = runner(&store, &shop);
    assert!(matches!(runner.resume(key()).await, Err(Error::UnknownKey { .. })));
    runner.run(buy, key(), CART).await.unwrap_err();
    let resumed = runner.resume(key()).await.unwrap();
    assert_eq!(resumed.ran(), ["charge", "place"]);
    assert!(runner.resume(key()).await.unwrap().replayed());
}

#[tokio::test]
async fn one_step_is_run_and_the_lease_given_back() {
    let (store, shop) = (Memory::new(), Shop::failing(1));
    let runner = runner(&store, &shop);
    runner.run(buy, key(), CART).await.unwrap_err();
    let stepped = runner.step(key()).await.unwrap();
    assert_eq!(stepped.step, Some("charge"));
    assert!(
        matches!(stepped.reach, Reach::Point { name, data } if name == "charged" && data == br#"{"charge_id":"ch_2"}"#)
    );
    assert!(!runner.status(&key()).await.unwrap().unwrap().leased);
    let last = runner.step(key()).await.unwrap();
    assert_eq!(last.jobs.len(), 1);
    assert!(matches!(last.reach, Reach::Response(response) if response.status() == 201));
    assert_eq!(runner.step(key()).await.unwrap().step, None);
}

async fn recharge(_: Call<'_>, _: Cart) -> Step<Response> {
    Ok(Response::empty(204))
}

/// The next release: the point `reserved` is gone, and with it the step that starts there.
fn buy_later() -> Workflow<MemoryConn, Shop, Cart> {
    Workflow::new("buy").foreign("recharge", recharge).build()
}

fn sell() -> Workflow<MemoryConn, Shop, Cart> {
    Workflow::new("sell").foreign("recharge", recharge).build()
}

#[tokio::test]
async fn check_lists_what_a_new_build_would_leave_behind() {
    let (store, shop) = (Memory::new(), Shop::failing(2));
    let old = runner(&store, &shop);
    for n in 0..2 {
        old.run(buy, Key::new("tenant", format!("k{n}")).unwrap(), CART).await.unwrap_err();
    }
    assert_eq!(old.check().await.unwrap(), []);
    let stranded = |registered| Stranded {
        workflow: "buy".into(),
        recovery_point: "reserved".into(),
        keys: 2,
        registered,
    };
    let new = Runner::builder(store.clone(), shop.clone()).with(buy_later).build().unwrap();
    assert_eq!(new.check().await.unwrap(), [stranded(true)]);
    let other = Runner::builder(store, shop).with(sell).build().unwrap();
    assert_eq!(other.check().await.unwrap(), [stranded(false)]);
    let unregistered = other.run(buy, key(), CART).await.unwrap_err();
    assert!(matches!(unregistered, Error::NotRegistered { .. }), "{unregistered}");
    assert!(other.status(&key()).await.unwrap().is_none(), "nothing was claimed");
}

/// The next release: the point is called otherwise, and knows its old name.
#[derive(Serialize, Deserialize)]
struct StockTaken;

impl RecoveryPoint for StockTaken {
    const NAME: &'static str = "stock_taken";
    const ALIASES: &'static [&'static str] = &["reserved"];
}

async fn take_stock(_: Call<'_>, _: Cart) -> Step<StockTaken> {
    panic!("a key that stands beyond this step runs it again");
}

async fn settle(cx: Call<'_>, _: StockTaken) -> Step<Response> {
    Ok(Response::new(200, json!(cx.request().cents)))
}

fn buy_renamed() -> Workflow<MemoryConn, Shop, Cart> {
    Workflow::new("buy").foreign("take_stock", take_stock).foreign("settle", settle).build()
}

#[tokio::test]
async fn a_key_at_a_renamed_point_goes_on_by_its_alias() {
    let (store, shop) = (Memory::new(), Shop::failing(1));
    runner(&store, &shop).run(buy, key(), CART).await.unwrap_err();
    let new = Runner::builder(store, shop).with(buy_renamed).build().unwrap();
    let answered = new.run(buy_renamed, key(), CART).await.unwrap();
    assert_eq!((answered.body(), answered.skipped()), (&b"2000"[..], &["take_stock"][..]));
}

#[tokio::test]
async fn where_a_request_came_in_is_part_of_it() {
    let (store, shop) = (Memory::new(), Shop::failing(0));
    let runner = runner(&store, &shop);
    let origin =
        |path: &str| Origin { method: Some("POST".into()), path: Some(path.into()), ..Origin::default() };
    runner.call(buy, key(), CART).origin(origin("/orders?x=1")).run().await.unwrap();
    let other = runner.call(buy, key(), CART).origin(origin("/orders?x=2")).run().await.unwrap_err();
    assert!(matches!(other, Error::Mismatch { workflow, .. } if workflow == "buy"));
    assert!(runner.call(buy, key(), CART).origin(origin("/orders?x=1")).run().await.unwrap().replayed());
}

async fn bad_status(_: Call<'_>, _: Cart) -> Step<Response> {
    Ok(Response::empty(42))
}

fn bad() -> Workflow<MemoryConn, Shop, Cart> {
    Workflow::new("bad").foreign("bad_status", bad_status).build()
}

#[tokio::test]
async fn a_response_that_no_client_understands_is_not_stored() {
    let (store, shop) = (Memory::new(), Shop::failing(0));
    let runner = Runner::builder(store, shop).with(bad).build().unwrap();
    let error = runner.run(bad, key(), CART).await.unwrap_err();
    assert!(matches!(&error, Error::Data { point, .. } if point == "finished"), "{error}");
    let standing = runner.status(&key()).await.unwrap().unwrap();
    assert_eq!((standing.status, standing.leased), (Status::Running, false));
    assert!(standing.last_error.unwrap().contains("a response's status is 100 to 599, not 42"));
}
