//! Payment providers that fail, or keep somebody waiting, before they ask the built-in one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use medusa_cart::{Charge, PaymentError, Payments, Verdict};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A provider that does what a test wants.
pub(crate) struct Stub {
    book: Arc<dyn Payments>,
    /// How many authorizations fail yet: they are lost after they were made.
    pub(crate) losses: AtomicUsize,
    /// How many authorizations are held yet.
    pub(crate) holds: AtomicUsize,
    /// Whether it declines.
    pub(crate) declines: bool,
    /// How often it was asked to authorize.
    pub(crate) asked: AtomicUsize,
    arrived: Semaphore,
    gate: Semaphore,
}

impl Stub {
    pub(crate) fn over(book: Arc<dyn Payments>) -> Self {
        Self {
            book,
            losses: AtomicUsize::new(0),
            holds: AtomicUsize::new(0),
            declines: false,
            asked: AtomicUsize::new(0),
            arrived: Semaphore::new(0),
            gate: Semaphore::new(0),
        }
    }

    /// Returns when an authorization is held.
    pub(crate) async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets it go on.
    pub(crate) fn open(&self) {
        self.gate.add_permits(1);
    }
}

/// Whether this counter had something left.
fn takes(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Payments for Stub {
    fn authorize<'a>(
        &'a self,
        effect_key: Uuid,
        charge: &'a Charge,
    ) -> BoxFuture<'a, Result<Verdict, PaymentError>> {
        async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.declines {
                return Ok(Verdict::Declined);
            }
            let verdict = self.book.authorize(effect_key, charge).await?;
            if takes(&self.holds) {
                self.arrived.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            if takes(&self.losses) {
                return Err(PaymentError::lost("the answer was lost"));
            }
            Ok(verdict)
        }
        .boxed()
    }

    fn cancel<'a>(&'a self, effect_key: Uuid, charge: &'a Charge) -> BoxFuture<'a, Result<(), PaymentError>> {
        self.book.cancel(effect_key, charge)
    }
}
