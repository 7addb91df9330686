//! What a plain handler hands on, so that its effect is made once though it may be called twice.

use uuid::Uuid;

/// The effect key of a request, which [`IdempotencyLayer`](crate::IdempotencyLayer) puts into its extensions for the
/// handler: a handler whose process died is called again, and gets the same one. It goes to the other side as *its*
/// idempotency key, or into a column with a unique index. Two keys, two scopes or two requests never share one.
///
/// ```
/// use axum::Extension;
/// use workflow_axum::EffectKey;
///
/// async fn charge(Extension(EffectKey(effect_key)): Extension<EffectKey>) -> String {
///     // INSERT INTO charges (effect_key, …) VALUES ($1, …) ON CONFLICT (effect_key) DO NOTHING
///     format!("charged under {effect_key}")
/// }
/// # let _ = charge;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EffectKey(pub Uuid);
