//! Who asks: the holder of a secret key.

use std::fmt::Write;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::refusal::Refusal;

/// The account of a secret key, which is also the scope of its idempotency keys. It is the key's hash: what opens an
/// account stands in no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account(pub(crate) String);

impl Account {
    /// Of the bearer of this request. Any secret key is an account: to know the real ones is not this example's
    /// subject.
    pub(crate) fn of(request: &Parts) -> Result<Self, Refusal> {
        let sent = request.headers.get(AUTHORIZATION).and_then(|sent| sent.to_str().ok());
        let secret = sent.and_then(|sent| sent.strip_prefix("Bearer ")).map(str::trim);
        let secret = secret.filter(|secret| !secret.is_empty()).ok_or_else(Refusal::nobody)?;
        let mut account = String::from("acct_");
        for byte in &Sha256::digest(secret)[..16] {
            // A string takes everything.
            let _ = write!(account, "{byte:02x}");
        }
        Ok(Self(account))
    }
}

impl<S: Sync> FromRequestParts<S> for Account {
    type Rejection = Refusal;

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::of(request)
    }
}
