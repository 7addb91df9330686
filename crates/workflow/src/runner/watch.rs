//! The watch: what a runner tells its observers. Without one it reads no clock and makes nothing.

use std::sync::Arc;
use std::time::Instant;

use crate::observer::{Guarded, RunEnd};
use crate::{ClaimKind, Error, Event, Observer, Refusal, Store};

use super::Inner;
use super::claim::Claim;

/// The observers of a runner, in the order in which they are told.
#[derive(Default)]
pub(super) struct Watch(Vec<Box<Guarded<dyn Observer>>>);

impl Watch {
    pub(super) fn add(&mut self, observer: impl Observer) {
        self.0.push(Box::new(Guarded::new(observer)));
    }

    /// When something begins whose time is told.
    pub(super) fn begin(&self) -> Option<Instant> {
        (!self.0.is_empty()).then(Instant::now)
    }

    pub(super) fn tell(&self, event: Event<'_>) {
        for observer in &self.0 {
            observer.tell(|observer| observer.observe(&event));
        }
    }

    /// What came of a claim.
    pub(super) fn claim(&self, workflow: &str, claim: &Result<Claim, Error>) {
        if self.0.is_empty() {
            return;
        }
        self.tell(match claim {
            Ok(Claim::Ours(claimed)) => Event::Claimed { workflow, claim: claimed.kind },
            Ok(Claim::Replay(_)) => Event::Replayed { workflow },
            Err(error) => Event::Refused { workflow, why: Refusal::of(error) },
        });
    }
}

impl ClaimKind {
    /// By the row as it is claimed: its fence, and the claims since its last progress that did not end in a release.
    pub(super) fn of(fence: i64, attempts: i32) -> Self {
        match attempts {
            // An insert whose reply was lost, and which was taken by its own claim.
            _ if fence == 1 => Self::Fresh,
            ..=1 => Self::Resumed,
            _ => Self::Takeover,
        }
    }
}

/// Tells the end of a run, however it ends: where its task is dropped, by its own drop.
pub(super) struct Ending<S: Store, A>(Option<Open<S, A>>);

/// An end that is not told yet.
struct Open<S: Store, A> {
    inner: Arc<Inner<S, A>>,
    workflow: &'static str,
    since: Instant,
}

impl<S: Store, A> Ending<S, A> {
    /// Of a run that begins now.
    pub(super) fn of(inner: &Arc<Inner<S, A>>, workflow: &'static str) -> Self {
        let since = inner.settings.watch.begin();
        Self(since.map(|since| Open { inner: inner.clone(), workflow, since }))
    }

    pub(super) fn tell(&mut self, end: RunEnd) {
        if let Some(Open { inner, workflow, since }) = self.0.take() {
            inner.settings.watch.tell(Event::Ended { workflow, end, took: since.elapsed() });
        }
    }

    pub(super) fn failed(&mut self, error: Error) -> Error {
        self.tell(RunEnd::of(&error));
        error
    }
}

impl<S: Store, A> Drop for Ending<S, A> {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.tell(if std::thread::panicking() { RunEnd::Panicked } else { RunEnd::Interrupted });
        }
    }
}
