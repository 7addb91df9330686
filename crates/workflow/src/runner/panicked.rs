//! A panic in code that is not the runner's, as an error like any other.

use std::any::Any;
use std::panic::{AssertUnwindSafe, UnwindSafe};

use futures_util::FutureExt;

use crate::BoxError;

/// Code that the runner has called panicked: a step, a codec, a `serde` implementation.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
pub(super) struct Panicked(String);

impl Panicked {
    pub(super) fn of(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_else(|| "no message".to_owned()))
    }

    /// Calls it.
    pub(super) fn catch<T>(call: impl FnOnce() -> Result<T, BoxError> + UnwindSafe) -> Result<T, BoxError> {
        std::panic::catch_unwind(call).unwrap_or_else(|panic| Err(Self::of(&*panic).into()))
    }

    /// Awaits it.
    pub(super) async fn catch_in<T>(call: impl Future<Output = T>) -> Result<T, Self> {
        AssertUnwindSafe(call).catch_unwind().await.map_err(|panic| Self::of(&*panic))
    }
}
