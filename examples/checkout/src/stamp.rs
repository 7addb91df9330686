//! What every outside call carries, so that the other side can tell a repetition and a witness can tell who called.

use uuid::Uuid;
use workflow::Foreign;

use crate::order::Order;
use crate::shop::Shop;

/// The headers of an outside call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// `Idempotency-Key`: the same at every attempt of this step for this key.
    pub effect_key: Uuid,
    /// `X-Node`: which process calls.
    pub node: String,
    /// `X-Fence`: the run's fencing token.
    pub fence: i64,
    /// `X-Step`: the step.
    pub step: &'static str,
    /// `X-Attempt`: the attempts of this step for this key, takeovers included.
    pub attempt: u32,
}

impl Stamp {
    /// The stamp of a foreign step.
    pub fn of(cx: &Foreign<'_, Shop, Order>) -> Self {
        Self {
            effect_key: cx.effect_key(),
            node: cx.app.node.to_string(),
            fence: cx.fence(),
            step: cx.step(),
            attempt: cx.attempt(),
        }
    }

    /// The same stamp under another name of its step: that of an undo, which is not the call of the step itself.
    pub(crate) fn named(self, step: &'static str) -> Self {
        Self { step, ..self }
    }

    /// The same request with these headers.
    pub(crate) fn on(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request
            .header("Idempotency-Key", self.effect_key.to_string())
            .header("X-Node", &self.node)
            .header("X-Fence", self.fence)
            .header("X-Step", self.step)
            .header("X-Attempt", self.attempt)
    }
}
