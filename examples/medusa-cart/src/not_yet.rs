//! Why a cart is not completed yet. Nothing is stored of these: when what is missing is there, the same key goes on.

use crate::refusal::Refusal;

/// Why a cart is not completed yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotYet {
    #[error("there is no such cart")]
    NoCart(String),
    #[error("the cart has no customer")]
    NoCustomer,
    #[error("the cart has no payment session")]
    NoSession,
    #[error("the cart is empty")]
    NoItems,
    #[error("another key is completing the cart")]
    Held,
    #[error("the cart has no swap that could be completed")]
    NoSwap,
}

impl NotYet {
    /// What the client hears.
    fn refusal(&self) -> Refusal {
        match self {
            Self::NoCart(id) => Refusal::not_found("Cart", id),
            Self::NoCustomer => {
                Refusal::invalid_data("Cannot create an order from the cart without a customer")
            }
            Self::NoSession => Refusal::not_allowed(
                "You cannot complete a cart without a payment session. Create one, and select it.",
            ),
            Self::NoItems => Refusal::invalid_data("Cannot create an order from a cart without items"),
            Self::NoSwap => Refusal::invalid_data("Swap not found"),
            Self::Held => Refusal::conflict(),
        }
    }

    /// What the client hears of a step's error, if it is one of these.
    pub(crate) fn among(error: &(dyn std::error::Error + 'static)) -> Option<Refusal> {
        let mut at = Some(error);
        while let Some(error) = at {
            if let Some(not_yet) = error.downcast_ref::<Self>() {
                return Some(not_yet.refusal());
            }
            at = error.source();
        }
        None
    }
}
