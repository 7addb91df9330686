//! Clients of a plain handler that leave before it is called.

use std::time::Duration;

use axum::http::HeaderValue;
use futures_util::FutureExt;
use tower::ServiceExt;
use workflow_axum::Settings;

use super::layer::{Bank, layer, post_charge, request, router};
use super::shop::send;
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

const MANY: usize = 20;

/// Returns when so many calls are held, and lets them go on.
async fn are_called(bank: &Bank, calls: usize) {
    let arrived = bank.arrived.acquire_many(calls.try_into().unwrap());
    tokio::time::timeout(Duration::from_secs(20), arrived)
        .await
        .expect("the handler is called")
        .unwrap()
        .forget();
    bank.gate.add_permits(calls);
}

async fn who_hangs_up_at_once_is_served_all_the_same<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let server = router(&bank, layer(&stage.store).with(Settings::default().wait(Duration::from_secs(20))));
    let hold = format!("hold={MANY}");
    for i in 0..MANY {
        // It is claimed at the earliest, and nobody is there any more.
        assert!(server.clone().oneshot(request(&format!("k{i}"), &hold)).now_or_never().is_none());
    }
    are_called(&bank, MANY).await;
    for i in 0..MANY {
        assert!(post_charge(&server, &format!("k{i}"), &hold).await.is_replayed());
    }
    assert_eq!(bank.charges(), MANY);
}

async fn who_rather_hears_of_it_elsewhere_is_served_all_the_same<S: Noted>(stage: Stage<S>) {
    let bank = Bank::new();
    let settings = Settings::default().wait(Duration::from_secs(20)).status_at("/charges");
    let server = router(&bank, layer(&stage.store).with(settings));
    let hold = format!("hold={MANY}");
    for i in 0..MANY {
        let mut asynchronous = request(&format!("k{i}"), &hold);
        asynchronous.headers_mut().insert("prefer", HeaderValue::from_static("respond-async"));
        let accepted = send(&server, asynchronous).await;
        assert_eq!((accepted.status, accepted.header("location")), (202, Some("/charges")));
    }
    are_called(&bank, MANY).await;
    for i in 0..MANY {
        assert!(post_charge(&server, &format!("k{i}"), &hold).await.is_replayed());
    }
    assert_eq!(bank.charges(), MANY);
}

everywhere!(
    who_hangs_up_at_once_is_served_all_the_same,
    who_rather_hears_of_it_elsewhere_is_served_all_the_same,
);
