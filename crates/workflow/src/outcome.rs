//! What a step may reach: a recovery point or the response.

use crate::point::FINISHED;
use crate::{RecoveryPoint, Response};

/// What a step may reach: a recovery point, or the response. Implemented for every [`RecoveryPoint`] and for
/// [`Response`]; nobody else needs to.
#[diagnostic::on_unimplemented(
    message = "a step must reach a recovery point or a `Response`, not `{Self}`",
    note = "add `impl RecoveryPoint for {Self} {{ const NAME: &'static str = \"…\"; }}`"
)]
pub trait Outcome: Send + 'static {
    /// The names of the points that may be reached.
    fn points() -> Vec<&'static str>;

    /// The outcome as it is stored.
    ///
    /// # Errors
    /// If the point's data cannot be written as JSON, or not be read back from it: nothing is stored then.
    fn reached(self) -> Result<Reached, serde_json::Error>;
}

/// What a step has reached, serialized once and passed on as raw bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Reached {
    /// A recovery point and its data as JSON.
    Point {
        /// Its stored name.
        name: &'static str,
        /// Its data.
        data: Vec<u8>,
    },
    /// The response: the key is finished.
    Response(Response),
}

impl Reached {
    /// The name of the point: `finished` for the response.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Point { name, .. } => name,
            Self::Response(_) => FINISHED,
        }
    }
}

/// The name only: the data may hold what must not stand in a log.
impl std::fmt::Debug for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reached({})", self.name())
    }
}

impl<P: RecoveryPoint> Outcome for P {
    fn points() -> Vec<&'static str> {
        vec![P::NAME]
    }

    fn reached(self) -> Result<Reached, serde_json::Error> {
        let data = serde_json::to_vec(&self)?;
        // What does not read back (a NaN became null) must not be committed: no run could go on from it.
        serde_json::from_slice::<P>(&data)?;
        Ok(Reached::Point { name: P::NAME, data })
    }
}

impl Outcome for Response {
    fn points() -> Vec<&'static str> {
        vec![FINISHED]
    }

    fn reached(self) -> Result<Reached, serde_json::Error> {
        Ok(Reached::Response(self))
    }
}
