//! Over real connections: a crowd with one key, and clients that hang up in the middle.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use workflow::Runner;
use workflow::seam::{Filter, Status};
use workflow_axum::Settings;
use workflow_postgres::Postgres;

use super::shop::{LEASE, Shop, order, orders, router};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage, open};

const CROWD: usize = 2000;
const HANGING_UP: usize = 200;

async fn serve<S: Noted>(shop: &Arc<Shop>, store: &S, settings: Settings) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = router(shop, store, settings);
    tokio::spawn(async move { axum::serve(listener, router).await });
    at
}

fn request(key: &str, prefer: &str) -> String {
    let body = order("o-1");
    format!(
        "POST /orders HTTP/1.1\r\nhost: shop\r\nauthorization: tenant-7\r\nidempotency-key: {key}\r\n\
         prefer: {prefer}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Status and body.
async fn answer(at: std::net::SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Half of them wait for the first, the others are told.
async fn of_a_crowd_with_one_key_one_runs<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let at = serve(&shop, &stage.store, Settings::default()).await;
    let sent = (0..CROWD).map(|i| {
        let request = request("k", if i % 2 == 0 { "wait=30" } else { "handling=strict" });
        async move { (i, answer(at, &request).await) }
    });
    let got = join_all(sent).await;
    let mut bodies: Vec<_> =
        got.iter().filter(|(_, (status, _))| *status == 201).map(|(_, (_, body))| body).collect();
    let placed = bodies.len();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "all have the same bytes");
    assert!(placed >= CROWD / 2, "{placed}");
    for (i, (status, body)) in &got {
        assert!(
            *status == 201 || (*status == 409 && i % 2 == 1 && body.contains("in-progress")),
            "{status} {body}"
        );
    }
    assert_eq!((shop.runs(), stage.store.notes().await.len()), (1, 1));
}

/// One of ten never reads its answer: its connection is reset while its step runs.
async fn who_hangs_up_changes_nothing<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let hung_up = HANGING_UP / 10;
    let at = serve(&shop, &stage.store, Settings::default()).await;
    shop.holds.store(hung_up, std::sync::atomic::Ordering::SeqCst);
    for i in 0..hung_up {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request(&format!("k{i}"), "").as_bytes()).await.unwrap();
        shop.arrived().await;
        stream.set_zero_linger().unwrap();
    }
    let others =
        (hung_up..HANGING_UP).map(|i| async move { answer(at, &request(&format!("k{i}"), "")).await.0 });
    assert!(join_all(others).await.iter().all(|status| *status == 201));
    for _ in 0..hung_up {
        shop.open();
    }
    // Nobody asks for them again.
    let runner = Runner::builder(stage.store.clone(), shop.clone()).lease(LEASE).with(orders::<S::Conn>);
    let runner = runner.build().unwrap();
    let unfinished = async || {
        let keys = runner.list(&Filter { limit: 1000, ..Filter::default() }).await.unwrap();
        assert_eq!(keys.len(), HANGING_UP);
        keys.iter().filter(|key| key.status != Status::Finished).count()
    };
    let all = async {
        while unfinished().await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
    assert_eq!((shop.runs(), stage.store.notes().await.len()), (HANGING_UP, HANGING_UP));
}

/// The pool of the test's store has 8, the group commits have two for each of the three kinds of write, the heartbeat one.
const CONNECTIONS: i64 = 8 + 6 + 1;
const OURS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_takes_no_more_connections_of_the_database_than_there_are_places() {
    let stage = open::<Postgres>().await;
    let pool = stage.store.pool().clone();
    let mut watches = PgConnection::connect(&stage.database.as_ref().unwrap().url).await.unwrap();
    let most = tokio::spawn(async move {
        let mut most = 0;
        while !pool.is_closed() {
            most = most.max(sqlx::query_scalar(OURS).fetch_one(&mut watches).await.unwrap());
        }
        most
    });
    let pool = stage.store.pool().clone();
    of_a_crowd_with_one_key_one_runs(stage).await;
    pool.close().await;
    let most: i64 = most.await.unwrap();
    assert!((2..=CONNECTIONS).contains(&most), "{most} connections");
}

everywhere!(of_a_crowd_with_one_key_one_runs, who_hangs_up_changes_nothing);
