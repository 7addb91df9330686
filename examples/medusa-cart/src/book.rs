//! The built-in payment provider. It keeps a book of every effect in a table of its own, written outside of any step's
//! transaction, as a provider in another house would.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::payments::{PaymentError, Payments, Verdict};
use crate::point::Charge;
use crate::sql::{Sql, args};
use crate::store::ShopStore;

const NOTE: &str = "
    INSERT INTO medusa_provider_book (effect_key, effect, session_id, amount) VALUES ($1, $2, $3, $4)
    ON CONFLICT (effect_key) DO UPDATE SET asked = medusa_provider_book.asked + 1";
const EFFECTS: &str =
    "SELECT effect, session_id, asked FROM medusa_provider_book ORDER BY effect, session_id, effect_key";

/// One effect of the book: what it was, of which session, and how often it was asked for.
pub type Effect = (String, String, i64);

/// The built-in provider.
#[derive(Debug)]
pub struct Book<S> {
    store: S,
    /// How long an answer is on its way.
    delay: Duration,
}

impl<S: ShopStore> Book<S> {
    /// In this store.
    pub fn new(store: S) -> Self {
        Self { store, delay: Duration::ZERO }
    }

    /// Its answers are so long on their way: for tests that kill whoever waits for one.
    #[must_use]
    pub fn delayed(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// All effects.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn effects(&self) -> sqlx::Result<Vec<Effect>> {
        self.store.reader().await?.rows(EFFECTS, args![]).await
    }

    async fn note(
        &self,
        effect: &'static str,
        effect_key: Uuid,
        charge: &Charge,
    ) -> Result<(), PaymentError> {
        let mut tx = self.store.begin().await.map_err(PaymentError::lost)?;
        let args = args![effect_key.to_string(), effect, &charge.session_id, charge.amount];
        tx.execute(NOTE, args).await.map_err(PaymentError::lost)?;
        self.store.commit(tx).await.map_err(PaymentError::lost)?;
        tokio::time::sleep(self.delay).await;
        Ok(())
    }
}

impl<S: ShopStore> Payments for Book<S> {
    fn authorize<'a>(
        &'a self,
        effect_key: Uuid,
        charge: &'a Charge,
    ) -> BoxFuture<'a, Result<Verdict, PaymentError>> {
        let verdict = match charge.provider_id.as_str() {
            "manual" => Verdict::Authorized,
            "pending" => return async { Ok(Verdict::Pending) }.boxed(),
            "requires_more" => return async { Ok(Verdict::RequiresMore) }.boxed(),
            _ => return async { Ok(Verdict::Declined) }.boxed(),
        };
        async move { self.note("authorize", effect_key, charge).await.map(|()| verdict) }.boxed()
    }

    fn cancel<'a>(&'a self, effect_key: Uuid, charge: &'a Charge) -> BoxFuture<'a, Result<(), PaymentError>> {
        self.note("cancel", effect_key, charge).boxed()
    }
}
