//! A call under way keeps its effect key, whatever is deployed, renamed or rotated before its point is committed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Barrier;
use uuid::Uuid;
use workflow::{Clock, Defines, Foreign, Key, RecoveryPoint, Response, Runner, Step, Store, Workflow};
use workflow_aes::AesGcm;

use crate::databases;

#[derive(Clone, Serialize, Deserialize)]
struct Cart {
    cents: i64,
}

impl RecoveryPoint for Cart {
    const NAME: &'static str = "started";
}

/// Notes every effect key that it is called with; the first call never answers.
struct Gateway {
    keys: Mutex<Vec<Uuid>>,
    first_call: Barrier,
}

type Call<'c> = Foreign<'c, Gateway, Cart>;

async fn charge(cx: Call<'_>, _: Cart) -> Step<Response> {
    let calls = {
        let mut keys = cx.app.keys.lock().unwrap();
        keys.push(cx.effect_key());
        keys.len()
    };
    if calls == 1 {
        cx.app.first_call.wait().await;
        std::future::pending::<()>().await;
    }
    Ok(Response::new(201, json!({ "cents": cx.request().cents, "attempt": cx.attempt() })))
}

/// The next release: another function, and another name for the step.
async fn capture(cx: Call<'_>, cart: Cart) -> Step<Response> {
    charge(cx, cart).await
}

fn before<C: Send + 'static>() -> Workflow<C, Gateway, Cart> {
    Workflow::new("pay").foreign("charge", charge).build()
}

fn after<C: Send + 'static>() -> Workflow<C, Gateway, Cart> {
    Workflow::new("pay").foreign("capture", capture).effect_name("charge").build()
}

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

/// The digest's secret comes from the last key that is listed, which no rotation changes.
fn runner<S: Store, W: Defines<S::Conn, Gateway, Cart>>(
    store: &S,
    gateway: &Arc<Gateway>,
    workflow: W,
    keys: &[[u8; 32]],
) -> Runner<S, Gateway> {
    Runner::builder(store.clone(), gateway.clone())
        .with(workflow)
        .codec(AesGcm::new(keys.to_vec()).unwrap())
        .digest_secret(workflow_aes::derive(keys.last().unwrap(), "digest"))
        .lease(Duration::from_secs(3600))
        .build()
        .unwrap()
}

async fn rotate_and_rename_under_a_call<S: Store>(store: S, clock: Clock) {
    let gateway = Arc::new(Gateway { keys: Mutex::default(), first_call: Barrier::new(2) });
    let key = Key::new("tenant", "k").unwrap();
    let cart = Cart { cents: 2000 };

    let old = runner(&store, &gateway, before, &[OLD]);
    let _under_way = old.start(before, key.clone(), cart.clone()).await.unwrap();
    gateway.first_call.wait().await;
    clock.advance(Duration::from_secs(3601));

    let new = runner(&store, &gateway, after, &[NEW, OLD]);
    let answered = new.run(after, key.clone(), cart.clone()).await.unwrap();
    assert_eq!(answered.body(), br#"{"attempt":2,"cents":2000}"#);
    let keys = gateway.keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1], "the second attempt went out under another effect key");

    // A resume without the request computes nothing anew either, and what the new key sealed is opened by the old
    // listing no more.
    assert!(new.resume(key.clone()).await.unwrap().replayed());
    let forgotten = runner(&store, &gateway, after, &[OLD]);
    assert!(matches!(forgotten.resume(key).await, Err(workflow::Error::Data { .. })));
}

#[tokio::test]
async fn sqlite_keeps_the_effect_key_of_a_call_under_way() {
    let (_database, store, clock) = databases::sqlite_store().await;
    rotate_and_rename_under_a_call(store, clock).await;
}

#[tokio::test]
async fn postgres_keeps_the_effect_key_of_a_call_under_way() {
    let (_database, store, clock) = databases::postgres_store().await;
    rotate_and_rename_under_a_call(store, clock).await;
}
