//! Why a gateway has decided nothing, by what that means for the money.

use workflow::{BoxError, InDoubt};

use crate::ledger::LedgerError;
use crate::outside::OutsideError;

/// Why a gateway has decided nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// Nothing has happened: the call never arrived, or was turned away for now.
    #[error("the gateway has done nothing")]
    NotDone(#[source] BoxError),
    /// Nobody knows whether it happened. Only the same call with the same effect key settles it.
    #[error("the gateway's decision is not known")]
    Unknown(#[source] InDoubt),
    /// The gateway refuses the call as it is, and always will: its key was used for another request. What that one
    /// did, a person has to find out.
    #[error("the gateway refuses the call under this key")]
    Refused(#[source] InDoubt),
}

impl From<OutsideError> for GatewayError {
    fn from(error: OutsideError) -> Self {
        match error {
            OutsideError::Status { status: 400, .. } => Self::Refused(InDoubt::new(error)),
            error if error.did_nothing() => Self::NotDone(error.in_its_time()),
            error => Self::Unknown(InDoubt::new(error.in_its_time())),
        }
    }
}

impl From<LedgerError> for GatewayError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused(_) => Self::Refused(InDoubt::new(error)),
            // It is read before anything is written.
            LedgerError::Damaged { .. } => Self::NotDone(error.into()),
            // A line may be in the file though nobody could bring it to the disk.
            LedgerError::File { .. } => Self::Unknown(InDoubt::new(error)),
        }
    }
}

/// The call to the ledger was cut off: the runtime is shutting down, or the call panicked.
impl From<tokio::task::JoinError> for GatewayError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Unknown(InDoubt::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use workflow::{Halt, Meaning};

    use super::*;

    fn status(status: u16) -> GatewayError {
        let retry_after = Some(Duration::from_secs(7));
        OutsideError::Status { name: "the gateway", status, retry_after }.into()
    }

    #[test]
    fn only_409_and_429_are_known_to_have_done_nothing_and_only_400_is_no_use_to_repeat() {
        for nothing in [409, 429] {
            assert!(matches!(status(nothing), GatewayError::NotDone(_)), "{nothing}");
            assert!(matches!(Halt::from(status(nothing)).meaning(), Meaning::Retry(_)), "{nothing}");
        }
        for unknown in [200, 204, 302, 401, 404, 408, 500, 502, 503, 504] {
            assert!(matches!(status(unknown), GatewayError::Unknown(_)), "{unknown}");
            assert!(matches!(Halt::from(status(unknown)).meaning(), Meaning::InDoubt(_)), "{unknown}");
        }
        assert!(matches!(status(400), GatewayError::Refused(_)));
        assert!(matches!(Halt::from(status(400)).meaning(), Meaning::InDoubt(_)));
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_a_doubt() {
        let error = GatewayError::from(OutsideError::Garbled { name: "the gateway" });
        assert!(matches!(Halt::from(error).meaning(), Meaning::InDoubt(_)));
    }
}
