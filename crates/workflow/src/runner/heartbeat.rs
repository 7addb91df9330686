//! The heartbeat: one thread with a runtime and a connection of its own, so that neither a blocked worker thread
//! nor an exhausted pool lets a lease run out. One statement for all leases, and none waits for an older one that
//! hangs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::Store;

use super::held::Registry;

pub(super) fn start<S: Store>(store: S, registry: Arc<Registry>, every: Duration) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("workflow-heartbeat".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let store = store.heart();
            tokio::select! {
                () = registry.closed() => {}
                () = beat(&store, &registry, every) => {}
            }
        });
    })?;
    Ok(())
}

/// A database that is only slow must not be met with ever new connections.
const LIMIT: Duration = Duration::from_secs(1);

async fn beat<S: Store>(store: &S, registry: &Registry, every: Duration) {
    // A lease outlasts one heartbeat that hangs: the next is sent at once.
    let limit = (registry.ttl() / 3).max(LIMIT);
    loop {
        tokio::time::sleep(every).await;
        // The thread must outlive a panic in a store: without it every lease of this process would run out.
        let rounds = AssertUnwindSafe(async {
            while tokio::time::timeout(limit, round(store, registry)).await.is_err() {
                tracing::warn!("a heartbeat was not answered in time");
            }
        });
        if rounds.catch_unwind().await.is_err() {
            tracing::error!("a heartbeat panicked");
        }
    }
}

async fn round<S: Store>(store: &S, registry: &Registry) {
    let leases = registry.leases();
    if leases.is_empty() {
        return;
    }
    let sent = Instant::now();
    match store.heartbeat(&leases, registry.ttl()).await {
        Ok(beats) => {
            for (lease, beat) in leases.into_iter().zip(beats) {
                registry.beaten(lease, beat, sent);
            }
        }
        // A failed heartbeat alone loses nothing: each run knows until when its lease holds.
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "heartbeat failed"),
    }
}
