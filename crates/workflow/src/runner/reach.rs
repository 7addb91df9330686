//! What one step did.

use crate::Response;
use crate::outbox::StagedJob;

/// What one step did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stepped {
    /// The step; `None` if the key was finished before.
    pub step: Option<&'static str>,
    /// What it reached.
    pub reach: Reach,
    /// The jobs that it staged.
    pub jobs: Vec<StagedJob>,
}

/// What a step has reached.
#[derive(Clone)]
#[non_exhaustive]
pub enum Reach {
    /// A recovery point and its data as JSON.
    Point {
        /// Its stored name.
        name: String,
        /// Its data.
        data: Vec<u8>,
    },
    /// The response.
    Response(Response),
}

/// Names only: data may hold what must not stand in a log.
impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Point { name, .. } => write!(f, "Point({name})"),
            Self::Response(response) => response.fmt(f),
        }
    }
}
