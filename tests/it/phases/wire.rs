//! The connection of a phase breaks in the middle: the point that it carries goes by another one.

use std::sync::Arc;

use workflow_postgres::{Options, Postgres};

use super::shop::{Act, Shop, journal, key, noted};
use super::stage;
use crate::proxy::{Break, Proxy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_carried_point_outlives_the_wire_of_its_transaction() {
    let stage = stage::open::<Postgres>().await;
    let proxy = Proxy::before(&stage.database.as_ref().unwrap().url).await;
    for how in [Break::Before, Break::After, Break::Late] {
        for step in ["b", "c", "d"] {
            let store = Postgres::connect(&proxy.url, Options::default().pool_size(4)).await.unwrap();
            let (shop, broken) = (Shop::open(), proxy.broken());
            let key = key(&format!("{how:?}-{step}"));
            // What the step notes.
            proxy.break_at(format!("{how:?}-{step} {step}").as_bytes(), how);
            let answered = match shop.tail(&store, &key).await {
                // The error of the first step of a phase is told; its caller asks again.
                Err(error) if step == "b" => {
                    assert!(matches!(error, workflow::Error::Step { step: "b", .. }), "{error:?}");
                    assert_eq!(journal(&stage.store, &key).await, "f>one");
                    shop.tail(&store, &key).await
                }
                answer => answer,
            };
            let answered = answered.unwrap_or_else(|error| panic!("{how:?} {step}: {error:?}"));
            assert_eq!((answered.status(), proxy.broken()), (200, broken + 1), "{how:?} {step}");
            assert_eq!(shop.effects("f").len(), 1, "{how:?} {step}: the foreign step is not repeated");
            assert_eq!(noted(&stage.store, &key).await, "bcd", "{how:?} {step}");
            assert_eq!(journal(&stage.store, &key).await, "f>one b>two c>three d>finished", "{how:?} {step}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres_a_carried_point_outlives_a_server_that_ends_every_connection() {
    let stage = stage::open::<Postgres>().await;
    for step in ["b", "c", "d"] {
        let (shop, key) = (Shop::acting(step, Act::Wait, 1), key(step));
        let run = {
            let (shop, store, key): (Arc<Shop>, _, _) = (shop.clone(), stage.store.clone(), key.clone());
            tokio::spawn(async move { shop.tail(&store, &key).await })
        };
        shop.waiting.acquire().await.unwrap().forget();
        let admin = stage
            .store
            .pool()
            .options()
            .clone()
            .connect_with((*stage.store.pool().connect_options()).clone());
        let admin = admin.await.unwrap();
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let cut: i64 = sqlx::query_scalar(cut).fetch_one(&admin).await.unwrap();
        assert!(cut >= 1, "there was a connection to cut");
        shop.free.add_permits(1);
        let answered = run.await.unwrap().unwrap_or_else(|error| panic!("{step}: {error:?}"));
        assert_eq!(answered.status(), 200);
        assert_eq!(shop.effects("f").len(), 1, "{step}: the foreign step is not repeated");
        assert_eq!(noted(&stage.store, &key).await, "bcd", "{step}");
        assert_eq!(journal(&stage.store, &key).await, "f>one b>two c>three d>finished", "{step}");
    }
}
