//! The codec: what stands between the runner and the store.

use crate::BoxError;

/// Where a sealed value stands. A codec binds it in, so that bytes moved to another row or column do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The key's scope.
    pub scope: &'a str,
    /// The key's value.
    pub key: &'a str,
    /// The column: `request_params`, `data`, `response_headers` or `response_body`.
    pub column: &'static str,
    /// The recovery point whose data it is, by its stored name; empty elsewhere.
    pub point: &'a str,
}

/// Seals what is stored of a request, of a point's data and of a response, and opens it again.
///
/// The digest of a request is not sealed but keyed ([`RunnerBuilder::digest_secret`]), with a secret that outlives
/// the codec's keys. Scopes and keys, names of points and steps, times, error texts and the payloads of staged jobs are
/// stored in clear.
///
/// [`RunnerBuilder::digest_secret`]: crate::RunnerBuilder::digest_secret
pub trait Codec: Send + Sync + 'static {
    /// Seals a value before it goes to the store.
    ///
    /// # Errors
    /// Whatever keeps it from being sealed. The key stays at its point.
    fn seal(&self, place: Place<'_>, plain: Vec<u8>) -> Result<Vec<u8>, BoxError>;

    /// Opens what [`seal`](Self::seal) made at this place.
    ///
    /// # Errors
    /// If the bytes were not sealed for this place, or with a key that is not known any more.
    fn open(&self, place: Place<'_>, sealed: Vec<u8>) -> Result<Vec<u8>, BoxError>;
}

/// No codec: everything is stored as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Codec for Plain {
    fn seal(&self, _: Place<'_>, plain: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        Ok(plain)
    }

    fn open(&self, _: Place<'_>, sealed: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        Ok(sealed)
    }
}
