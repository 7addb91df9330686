//! The payment providers, as the workflow sees them: the world outside.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use workflow::{BoxError, InDoubt};

use crate::point::Charge;

/// What a provider says of an authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The money is set aside.
    Authorized,
    /// The customer has to do something first.
    RequiresMore,
    /// It is not decided yet.
    Pending,
    /// It is refused.
    Declined,
}

impl Verdict {
    /// The status of the payment session.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::RequiresMore => "requires_more",
            Self::Pending => "pending",
            Self::Declined => "error",
        }
    }
}

/// Why a provider did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PaymentError {
    /// The call never arrived.
    #[error("the payment provider cannot be reached")]
    Unreachable,
    /// It was sent, and nobody knows what came of it. The same call with the same effect key tells.
    #[error(transparent)]
    Lost(InDoubt),
}

impl PaymentError {
    /// A call that was sent, and not answered.
    pub fn lost(error: impl Into<BoxError>) -> Self {
        Self::Lost(InDoubt::new(error))
    }
}

/// Payment providers. Each call carries an effect key: repeated with the same one it has no second effect, and gets the
/// same answer.
pub trait Payments: Send + Sync + 'static {
    /// Sets the money aside.
    fn authorize<'a>(
        &'a self,
        effect_key: Uuid,
        charge: &'a Charge,
    ) -> BoxFuture<'a, Result<Verdict, PaymentError>>;

    /// Lets it go again.
    fn cancel<'a>(&'a self, effect_key: Uuid, charge: &'a Charge) -> BoxFuture<'a, Result<(), PaymentError>>;
}
