//! The leases that this runner holds.
//!
//! A lease's safety is the fence, in the database. What is kept here is an optimization: a runner that knows its
//! lease to be over stops before it calls the outside world once more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::record::{Beat, Lease};
use crate::signal::{Signal, Signals};

/// All leases of one runner.
pub(super) struct Registry {
    ttl: Duration,
    held: Mutex<HashMap<Lease, Arc<State>>>,
    closed: AtomicBool,
    wake: Notify,
    /// No run begins another step.
    stopping: Signal,
    /// How many claims are on their way: one that succeeds has a lease before it is none any more.
    claims: AtomicUsize,
    /// A lease was dropped, or a claim has ended.
    dropped: Notify,
}

struct State {
    /// When the last good extension was *sent*: the database cannot have begun the lease later.
    sent: Mutex<Instant>,
    signals: Arc<Signals>,
}

/// One lease, while a run has it.
pub(super) struct Held {
    lease: Lease,
    state: Arc<State>,
    registry: Arc<Registry>,
}

impl Registry {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            held: Mutex::default(),
            closed: AtomicBool::new(false),
            wake: Notify::new(),
            stopping: Signal::default(),
            claims: AtomicUsize::new(0),
            dropped: Notify::new(),
        }
    }

    /// Takes up a lease that was claimed by a statement sent at `sent`.
    pub(super) fn hold(self: &Arc<Self>, lease: Lease, sent: Instant) -> Held {
        let state = Arc::new(State { sent: Mutex::new(sent), signals: Arc::default() });
        lock(&self.held).insert(lease, state.clone());
        Held { lease, state, registry: self.clone() }
    }

    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        lock(&self.held).keys().copied().collect()
    }

    /// What a heartbeat sent at `sent` found.
    pub(super) fn beaten(&self, lease: Lease, beat: Beat, sent: Instant) {
        let Some(state) = lock(&self.held).get(&lease).cloned() else { return };
        match beat {
            Beat::Renewed => state.extended(sent),
            Beat::Cancelled => {
                state.extended(sent);
                state.signals.cancelled.raise();
            }
            Beat::Missed => {}
            Beat::Lost => state.signals.lose(),
        }
    }

    /// A cancel was asked for of this row. Runs elsewhere hear of it by their heartbeats.
    pub(super) fn cancelled(&self, id: Uuid) {
        for (lease, state) in &*lock(&self.held) {
            if lease.id == id {
                state.signals.cancelled.raise();
            }
        }
    }

    /// No run begins another step from now on.
    pub(super) fn stop(&self) {
        self.stopping.raise();
    }

    pub(super) fn stopping(&self) -> &Signal {
        &self.stopping
    }

    /// A claim is on its way, until what is returned is dropped.
    pub(super) fn claiming(&self) -> Claiming<'_> {
        self.claims.fetch_add(1, Ordering::SeqCst);
        Claiming(self)
    }

    /// Returns when no run has a lease, and none is about to.
    pub(super) async fn idle(&self) {
        loop {
            let mut dropped = std::pin::pin!(self.dropped.notified());
            // Before the look, or a drop between the look and the wait would be missed.
            dropped.as_mut().enable();
            // The claims first: what they have got is among the leases then.
            if self.claims.load(Ordering::SeqCst) == 0 && lock(&self.held).is_empty() {
                return;
            }
            dropped.await;
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Returns when the registry is closed.
    pub(super) async fn closed(&self) {
        while !self.is_closed() {
            self.wake.notified().await;
        }
    }
}

/// A claim that is on its way.
pub(super) struct Claiming<'r>(&'r Registry);

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        self.0.claims.fetch_sub(1, Ordering::SeqCst);
        self.0.dropped.notify_waiters();
    }
}

impl State {
    fn extended(&self, sent: Instant) {
        let mut last = lock(&self.sent);
        *last = sent.max(*last);
    }
}

impl Held {
    pub(super) fn lease(&self) -> Lease {
        self.lease
    }

    /// A statement sent at `sent` extended the lease.
    pub(super) fn extended(&self, sent: Instant) {
        self.state.extended(sent);
    }

    /// Until when the lease surely holds.
    pub(super) fn until(&self) -> Instant {
        *lock(&self.state.sent) + self.registry.ttl
    }

    /// Whether the lease still holds, as far as is known here.
    pub(super) fn holds(&self) -> bool {
        !self.state.signals.lost.is_raised() && Instant::now() < self.until()
    }

    pub(super) fn signals(&self) -> &Arc<Signals> {
        &self.state.signals
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.registry.held).remove(&self.lease);
        self.registry.dropped.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
