//! The problems of the header `Idempotency-Key`, in Medusa's shape.

use axum::response::{IntoResponse, Response};
use workflow_axum::{Kind, Problem};

use crate::refusal::Refusal;

/// The response of a problem.
pub(crate) fn of(problem: Problem) -> Response {
    refusal(&problem).into_response()
}

/// The problem as Medusa would say it, and where Medusa has no such problem, in its manner.
pub(crate) fn refusal(problem: &Problem) -> Refusal {
    let (status, detail) = (problem.kind.status().as_u16(), problem.detail.clone());
    let refusal = match problem.kind {
        Kind::InProgress => Refusal::conflict(),
        Kind::NeedsAttention => Refusal::new(status, "conflict", detail).code("needs_attention"),
        Kind::KeyReused => Refusal::new(status, "invalid_data", detail).code("idempotency_key_reused"),
        Kind::KeyUnknown => Refusal::new(status, "not_found", detail),
        Kind::Unavailable => Refusal::new(status, "unknown_error", detail).code("unavailable"),
        Kind::Internal => Refusal::new(status, "unknown_error", detail).code("unknown_error"),
        Kind::Validation => Refusal::invalid_data(detail),
        _ => Refusal::new(status, "invalid_data", detail),
    };
    match problem.retry_after {
        Some(after) => refusal.again_in(after.as_secs() + u64::from(after.subsec_nanos() > 0)),
        None => refusal,
    }
}
