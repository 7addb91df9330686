//! A request whose members stand in the path too, and a step's error in the application's own words.

use std::sync::atomic::Ordering;

use workflow_axum::Settings;

use super::shop::{Got, Shop, request, router, send};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

async fn put(server: &axum::Router, path: &str, key: &str, body: &str) -> Got {
    send(server, request("PUT", path, key).body(body.to_owned().into()).unwrap()).await
}

async fn the_paths_parameters_are_members_of_the_request<S: Noted>(stage: Stage<S>) {
    let server = router(&Shop::new(), &stage.store, Settings::default());
    let big = r#"{"amount":9007199254740993}"#;
    let first = put(&server, "/orders/o%2F1", "k", big).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.body, r#"{"amount":9007199254740993,"fence":1,"order_id":"o/1"}"#);
    assert!(put(&server, "/orders/o%2F1", "k", big).await.is_replayed());
    let other = put(&server, "/orders/o%2F1", "k", r#"{"amount":9007199254740992}"#).await;
    assert_eq!(other.problem(), "key-reused");
    assert_eq!(put(&server, "/orders/o-2", "k", big).await.problem(), "key-reused");
    assert_eq!(stage.store.notes().await, ["o/1"]);
}

async fn a_member_stands_in_the_path_or_in_the_body_and_not_in_both<S: Noted>(stage: Stage<S>) {
    let server = router(&Shop::new(), &stage.store, Settings::default());
    let bodies = [
        (r#"{"amount":5,"order_id":"o-1"}"#, "validation"),
        (r#"{"amount":5,"amount":6}"#, "body"),
        ("[5]", "validation"),
        ("", "validation"),
        ("{", "body"),
    ];
    for (body, kind) in bodies {
        assert_eq!(put(&server, "/orders/o-1", "k", body).await.problem(), kind, "{body}");
    }
    assert_eq!(
        put(&server, "/orders/o-1", "k", r#"{"amount":5}"#).await.status,
        201,
        "the key was not touched"
    );
}

async fn a_steps_error_in_the_applications_words_is_not_stored<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.fails.store(1, Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default());
    let busy = put(&server, "/orders/o-1", "k", r#"{"amount":5}"#).await;
    assert_eq!((busy.status, &busy.body[..], busy.header("idempotency-key")), (409, &b"busy"[..], Some("k")));
    let done = put(&server, "/orders/o-1", "k", r#"{"amount":5}"#).await;
    assert_eq!((done.status, done.is_replayed(), shop.runs()), (201, false, 2));
}

everywhere!(
    the_paths_parameters_are_members_of_the_request,
    a_member_stands_in_the_path_or_in_the_body_and_not_in_both,
    a_steps_error_in_the_applications_words_is_not_stored,
);
