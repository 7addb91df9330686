//! Recovery points: what a key has reached, as a type with a stored name.

use serde::{Serialize, de::DeserializeOwned};

/// The name of the first recovery point: its data is the request.
pub const STARTED: &str = "started";

/// The name of the last recovery point: the response is stored.
pub const FINISHED: &str = "finished";

/// A recovery point: a stored name and the data needed to go on from it.
///
/// The database keeps [`NAME`](Self::NAME) and the type's JSON, so the Rust type may be renamed freely. A point
/// carries only what is new: the request is at hand at every step (`cx.request()`). The request itself is the
/// point [`STARTED`]. The name comes from Brandur Leach's essay on idempotency keys and Medusa's `recovery_point`.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use workflow::RecoveryPoint;
///
/// #[derive(Serialize, Deserialize)]
/// struct PaymentCaptured { charge_id: String }
///
/// impl RecoveryPoint for PaymentCaptured {
///     const NAME: &'static str = "payment_captured";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a recovery point",
    label = "no `impl RecoveryPoint for {Self}`",
    note = "a recovery point is a serde type with a stored name: `impl RecoveryPoint for {Self} {{ const NAME: &'static str = \"…\"; }}`"
)]
pub trait RecoveryPoint: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name that the database keeps: 1 to 100 characters of `a`–`z`, `0`–`9` and `_`, unique in its workflow.
    const NAME: &'static str;

    /// Names under which earlier builds stored this point: a key that stands at one of them goes on from here.
    /// An alias also retires a point: name it as an alias of the point that took its place.
    const ALIASES: &'static [&'static str] = &[];
}
