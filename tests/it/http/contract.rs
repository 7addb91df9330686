//! Every row of the contract.

use std::io;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::routing::post;
use futures_util::stream;
use workflow::Runner;
use workflow_axum::{Idempotency, Kind, Settings, run};
use workflow_sqlite::Sqlite;

use super::shop::{LEASE, Shop, order, orders, post_order, request, router, send, tenant};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage, open};

async fn a_replay_is_the_same_to_the_byte_and_says_so<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let first = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((first.status, first.is_replayed()), (201, false));
    assert_eq!(first.body, r#"{"amount":5,"fence":1,"order_id":"o-1"}"#);
    assert_eq!(
        (first.header("location"), first.headers.get_all("link").iter().count()),
        (Some("/orders/o-1"), 2)
    );
    assert_eq!(first.header("set-cookie"), None, "it is on no list");
    assert_eq!(first.header("idempotency-key"), Some("k"));
    let exposed = first.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("idempotency-key") && exposed.contains("idempotent-replayed"));

    let again = post_order(&server, "k", &order("o-1")).await;
    assert!(again.is_replayed());
    assert_eq!(again.stored(), first.stored());
    // Another server, after a restart.
    let restarted = router(&shop, &S::again(&stage).await, Settings::default());
    assert_eq!(post_order(&restarted, "k", &order("o-1")).await.stored(), first.stored());
    assert_eq!((shop.runs(), stage.store.notes().await), (1, vec!["o-1".to_owned()]));
}

async fn a_refusal_is_stored_and_replayed_too<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let body = r#"{"order_id":"o-1","amount":402}"#;
    let first = post_order(&server, "k", body).await;
    assert_eq!((first.status, &first.body[..]), (402, &br#"{"error":"declined"}"#[..]));
    let again = post_order(&server, "k", body).await;
    assert!(again.is_replayed() && again.stored() == first.stored());
    assert_eq!((shop.runs(), stage.store.notes().await.len()), (1, 0));
}

async fn the_same_request_written_otherwise_is_a_replay<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let first = post_order(&server, "k", r#"{"order_id":"é","amount":5}"#).await;
    let otherwise = "\n{ \"amount\" : 5,\t\"order_id\":\"\\u00e9\" } ";
    for key in ["k", "\"k\""] {
        let again = post_order(&server, key, otherwise).await;
        assert!(again.is_replayed() && again.stored() == first.stored());
        assert_eq!(again.header("idempotency-key"), Some(key), "it is echoed as it was sent");
    }
    assert_eq!(shop.runs(), 1);
}

async fn another_request_with_the_key_is_a_mismatch_and_touches_nothing<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let big = r#"{"order_id":"o-1","amount":9007199254740993}"#;
    let first = post_order(&server, "k", big).await;
    let others = [
        ("POST", "/orders", r#"{"order_id":"o-1","amount":9007199254740992}"#),
        ("POST", "/orders", r#"{"order_id":"o-2","amount":9007199254740993}"#),
        ("POST", "/orders?coupon=1", big),
        ("PUT", "/orders", big),
        ("POST", "/shops/7/orders", big),
        ("POST", "/optional", big),
    ];
    for (method, path, body) in others {
        let other = send(&server, request(method, path, "k").body(body.into()).unwrap()).await;
        assert_eq!((other.status, &*other.problem()), (422, "key-reused"), "{method} {path} {body}");
        assert_eq!(other.header("idempotency-key"), Some("k"));
        assert!(!String::from_utf8_lossy(&other.body).contains("9007199254740993"));
    }
    assert_eq!(post_order(&server, "k", big).await.stored(), first.stored());
    let elsewhere = |path: &str| request("POST", path, "elsewhere").body(Body::from(big)).unwrap();
    assert_eq!(send(&server, elsewhere("/shops/7/orders")).await.status, 201);
    assert_eq!(send(&server, elsewhere("/shops/8/orders")).await.status, 422, "the path counts");
    assert_eq!(shop.runs(), 2);
}

/// A deploy may rename a parameter, and may route the same path elsewhere.
async fn the_route_counts_and_the_names_of_its_parameters_do_not<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let routed = async |route: &str| {
        let runner = Runner::builder(stage.store.clone(), shop.clone()).with(orders::<S::Conn>);
        let idempotency = Idempotency::new(runner.build().unwrap(), tenant);
        let server = Router::new().route(route, post(run(orders::<S::Conn>))).with_state(idempotency);
        send(&server, request("POST", "/shops/7/orders", "k").body(order("o-1").into()).unwrap()).await
    };
    let first = routed("/shops/{shop}/orders").await;
    assert_eq!(first.status, 201);
    assert_eq!(routed("/shops/{id}/orders").await.stored(), first.stored());
    for other in ["/shops/7/orders", "/{kind}/7/orders", "/shops/{*rest}"] {
        assert_eq!(routed(other).await.problem(), "key-reused", "{other}");
    }
    assert_eq!(shop.runs(), 1);
}

/// A nested router sees a path without its prefix.
async fn the_path_counts_as_it_came_into_the_outermost_router<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let inner = router(&shop, &stage.store, Settings::default());
    let server = Router::new().nest("/markets/{market}", inner.clone()).nest("/fair", inner);
    let at =
        async |path: &str| send(&server, request("POST", path, "k").body(order("o-1").into()).unwrap()).await;
    let first = at("/markets/1/orders").await;
    assert_eq!(first.status, 201);
    for other in ["/markets/2/orders", "/fair/orders"] {
        assert_eq!(at(other).await.problem(), "key-reused", "{other}");
    }
    assert_eq!(at("/markets/1/orders").await.stored(), first.stored());
    assert_eq!(shop.runs(), 1);
}

async fn what_is_no_key_is_refused_before_anything_else<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let missing = post_order(&server, "", &order("o-1")).await;
    assert_eq!((missing.status, &*missing.problem()), (400, "key-missing"));
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
    for malformed in [&b"\"\""[..], b"a b", b"a\tb", b"k\xff", b"\"open", b"a\"", too_long.as_bytes()] {
        let key = HeaderValue::from_bytes(malformed).unwrap();
        let request = request("POST", "/orders", "").header("idempotency-key", key);
        let got = send(&server, request.body(order("o-1").into()).unwrap()).await;
        assert_eq!((got.status, &*got.problem()), (400, "key-malformed"), "{malformed:?}");
    }
    let twice = request("POST", "/orders", "a").header("idempotency-key", "a");
    assert_eq!(send(&server, twice.body(order("o-1").into()).unwrap()).await.problem(), "key-malformed");
    assert_eq!(shop.runs(), 0);
    assert_eq!(post_order(&server, &longest, &order("o-1")).await.status, 201);
}

async fn a_key_that_may_be_missing_is_drawn_and_told<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let without = || request("POST", "/optional", "").body(Body::from(order("o-1"))).unwrap();
    let (first, second) = (send(&server, without()).await, send(&server, without()).await);
    assert_eq!((first.status, second.status, shop.runs()), (201, 201, 2));
    let key = first.header("idempotency-key").unwrap();
    let again = send(&server, request("POST", "/optional", key).body(order("o-1").into()).unwrap()).await;
    assert!(again.is_replayed() && again.stored() == first.stored());
}

async fn a_bad_body_leaves_the_key_for_a_good_one<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default().body_limit(100));
    let bad = [
        ("", 400, "body"),
        ("{", 400, "body"),
        (r#"{"order_id":"o-1","amount":5,"amount":6}"#, 400, "body"),
        (r#"{"order_id":"o-1","amount":"5"}"#, 422, "validation"),
        (r#"{"order_id":"o-1"}"#, 422, "validation"),
        (r#"{"order_id":"o-1","amount":5,"more":1}"#, 422, "validation"),
        (r#"{"order_id":"o-1","amount":-5}"#, 422, "validation"),
        (r#"{"order_id":"o-1","amount":99999999999999999999}"#, 422, "validation"),
        ("[]", 422, "validation"),
    ];
    for (body, status, problem) in bad {
        let got = post_order(&server, "k", body).await;
        assert_eq!((got.status, &*got.problem()), (status, problem), "{body}");
    }
    let latin =
        request("POST", "/orders", "k").body(Body::from(&b"{\"order_id\":\"\xe9\",\"amount\":5}"[..]));
    assert_eq!(send(&server, latin.unwrap()).await.problem(), "body");
    let mut form = request("POST", "/orders", "k").body(Body::from(order("o-1"))).unwrap();
    form.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    let form = send(&server, form).await;
    assert_eq!((form.status, &*form.problem()), (415, "content-type"));
    let long = post_order(&server, "k", &order(&"o".repeat(100))).await;
    assert_eq!((long.status, &*long.problem()), (413, "too-large"));
    assert_eq!(shop.runs(), 0);
    assert_eq!(post_order(&server, "k", &order("o-1")).await.status, 201);
}

async fn a_body_is_as_long_as_the_limit_at_the_most<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let longest = order("o-1");
    let server = router(&shop, &stage.store, Settings::default().body_limit(longest.len()));
    for (key, announced) in [("a", true), ("b", false)] {
        for (body, status) in [(format!("{longest} "), 413), (longest.clone(), 201)] {
            let mut sent = request("POST", "/orders", key);
            if announced {
                sent = sent.header("content-length", body.len());
            }
            let got = send(&server, sent.body(Body::from(body)).unwrap()).await;
            assert_eq!(got.status, status, "announced: {announced}");
        }
    }
    // Who announces too much is not read at all.
    let unread = Body::from_stream(stream::poll_fn(|_| -> Poll<Option<io::Result<Vec<u8>>>> {
        panic!("the body was read")
    }));
    let long = request("POST", "/orders", "c").header("content-length", longest.len() + 1);
    assert_eq!(send(&server, long.body(unread).unwrap()).await.problem(), "too-large");
    assert_eq!(shop.runs(), 2);
}

async fn a_body_that_breaks_off_is_none<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
    let body = Body::from_stream(stream::iter([Ok(order("o-1")), Err(broken())]));
    let got = send(&server, request("POST", "/orders", "k").body(body).unwrap()).await;
    assert_eq!((got.status, &*got.problem(), shop.runs()), (400, "body", 0));
    assert_eq!(post_order(&server, "k", &order("o-2")).await.status, 201, "the key was not touched");
}

async fn a_body_is_json_if_its_type_says_so<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let typed = async |content_type: &str| {
        let mut sent = request("POST", "/orders", content_type).body(Body::from(order("o-1"))).unwrap();
        sent.headers_mut().remove("content-type");
        if !content_type.is_empty() {
            sent.headers_mut().insert("content-type", content_type.parse().unwrap());
        }
        sent.headers_mut().insert("idempotency-key", HeaderValue::from_static("k"));
        send(&server, sent).await
    };
    for other in ["", "+json", "text/json", "application/jsonx", "application/x-www-form-urlencoded", "json"]
    {
        let got = typed(other).await;
        assert_eq!((got.status, &*got.problem()), (415, "content-type"), "{other}");
    }
    assert_eq!(shop.runs(), 0);
    for json in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.shop+json;v=1"] {
        assert_eq!(typed(json).await.status, 201, "{json}");
    }
}

async fn an_address_that_is_too_long_to_be_stored_is_refused<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let long = format!("/orders?{}", "q".repeat(2000));
    let got = send(&server, request("POST", &long, "k").body(order("o-1").into()).unwrap()).await;
    assert_eq!((got.status, &*got.problem(), shop.runs()), (400, "body", 0));
}

async fn what_errors_look_like_is_the_applications<S: Noted>(stage: Stage<S>) {
    let server = router(&Shop::new(), &stage.store, Settings::default().problems_at("https://shop/errors#"));
    let got = post_order(&server, "", &order("o-1")).await;
    assert!(
        String::from_utf8_lossy(&got.body).contains(r#""type":"https://shop/errors#key-missing""#),
        "{got:?}"
    );
}

#[test]
fn every_problem_is_explained_under_its_name() {
    let page = include_str!("../../../docs/http.md");
    for kind in Kind::ALL {
        assert!(page.contains(&format!("\n### {}\n", kind.name())), "{kind:?}");
    }
}

/// Somebody wrote to the table by hand.
#[tokio::test]
async fn a_stored_header_that_is_none_is_left_out_of_the_replay() {
    let stage = open::<Sqlite>().await;
    let server = router(&Shop::new(), &stage.store, Settings::default());
    let first = post_order(&server, "k", &order("o-1")).await;
    let damage = r#"[["link","</a>\r\nSet-Cookie: b"],["li nk","</b>"],["etag","\"c\""],["set-cookie","d"]]"#;
    let update = "UPDATE workflow_idempotency_keys SET response_headers = CAST($1 AS blob)";
    sqlx::query(update).bind(damage).execute(stage.store.pool()).await.unwrap();
    let again = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((again.status, &again.body, again.is_replayed()), (first.status, &first.body, true));
    assert_eq!(
        (again.header("etag"), again.header("link"), again.header("set-cookie")),
        (Some("\"c\""), None, None)
    );
}

/// A body that does not say how long it is, and would never end.
async fn of_a_body_without_end_only_the_limit_is_read<S: Noted>(stage: Stage<S>) {
    let server = router(&Shop::new(), &stage.store, Settings::default().body_limit(1 << 16));
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let got = send(&server, request("POST", "/orders", "k").body(Body::from_stream(endless)).unwrap()).await;
    assert_eq!((got.status, &*got.problem()), (413, "too-large"));
}

async fn another_tenant_never_sees_a_byte<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    let server = router(&shop, &stage.store, Settings::default());
    let first = post_order(&server, "k", &order("o-1")).await;
    let mut other = request("POST", "/orders", "k").body(Body::from(order("o-2"))).unwrap();
    other.headers_mut().insert("authorization", HeaderValue::from_static("tenant-8"));
    let other = send(&server, other).await;
    assert_eq!((other.status, other.is_replayed(), shop.runs()), (201, false, 2));
    assert_ne!(other.body, first.body);
    let mut nobody = request("POST", "/orders", "k").body(Body::from(order("o-1"))).unwrap();
    nobody.headers_mut().remove("authorization");
    let nobody = send(&server, nobody).await;
    assert_eq!((nobody.status, nobody.body.len()), (401, 0), "the application's own answer");
    for key in ["", "a b"] {
        let mut nobody = request("POST", "/orders", key).body(Body::from(order("o-1"))).unwrap();
        nobody.headers_mut().remove("authorization");
        assert_eq!(send(&server, nobody).await.status, 401, "who has no scope hears nothing of keys");
    }
    let mut empty = request("POST", "/orders", "k").body(Body::from(order("o-1"))).unwrap();
    empty.headers_mut().insert("authorization", HeaderValue::from_static(""));
    let empty = send(&server, empty).await;
    assert_eq!((empty.status, &*empty.problem()), (500, "internal"), "no scope is not a scope of its own");
}

async fn a_failed_step_is_no_answer_and_the_same_request_goes_on<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.fails.store(1, std::sync::atomic::Ordering::SeqCst);
    let server = router(&shop, &stage.store, Settings::default());
    let failed = post_order(&server, "k", &order("o-1")).await;
    assert_eq!(
        (failed.status, &*failed.problem(), failed.header("retry-after")),
        (503, "unavailable", Some("1"))
    );
    assert!(!String::from_utf8_lossy(&failed.body).contains("away"), "what went wrong stands in the log");
    let again = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((again.status, again.is_replayed()), (201, false));
}

/// A process that died with the key in its hands, a week ago.
async fn an_unfinished_key_never_expires<S: Noted>(stage: Stage<S>) {
    let shop = Shop::new();
    shop.holds.store(1, std::sync::atomic::Ordering::SeqCst);
    let died = tokio::spawn({
        let server = router(&shop, &stage.store, Settings::default());
        async move { post_order(&server, "k", &order("o-1")).await }
    });
    shop.arrived().await;
    died.abort();
    stage.clock.advance(LEASE * 24 * 7);
    let server = router(&shop, &S::again(&stage).await, Settings::default());
    let got = post_order(&server, "k", &order("o-1")).await;
    assert_eq!((got.status, got.is_replayed()), (201, false));
    assert_eq!(got.body, r#"{"amount":5,"fence":2,"order_id":"o-1"}"#);
    shop.open();
    assert_eq!(stage.store.notes().await, ["o-1"]);
}

everywhere!(
    a_replay_is_the_same_to_the_byte_and_says_so,
    a_refusal_is_stored_and_replayed_too,
    the_same_request_written_otherwise_is_a_replay,
    another_request_with_the_key_is_a_mismatch_and_touches_nothing,
    the_route_counts_and_the_names_of_its_parameters_do_not,
    the_path_counts_as_it_came_into_the_outermost_router,
    what_is_no_key_is_refused_before_anything_else,
    a_key_that_may_be_missing_is_drawn_and_told,
    a_bad_body_leaves_the_key_for_a_good_one,
    of_a_body_without_end_only_the_limit_is_read,
    a_body_is_as_long_as_the_limit_at_the_most,
    a_body_that_breaks_off_is_none,
    a_body_is_json_if_its_type_says_so,
    an_address_that_is_too_long_to_be_stored_is_refused,
    what_errors_look_like_is_the_applications,
    another_tenant_never_sees_a_byte,
    a_failed_step_is_no_answer_and_the_same_request_goes_on,
    an_unfinished_key_never_expires,
);
