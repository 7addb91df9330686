//! Which way a key goes.

use crate::{Response, RunEnd};

/// Which way a key goes.
#[derive(Clone)]
pub(super) enum Course {
    /// From point to point.
    Forward,
    /// It is cancelled, and to be turned round; the answer is stored in the end.
    Cancelled(Response),
    /// Back: what it has reached is undone; the answer is stored in the end.
    Undoing(Response),
}

impl Course {
    /// By the point at which a key stands and the answer that it has already.
    pub(super) fn of(point: &str, answer: Option<Response>) -> Self {
        match answer {
            Some(answer) if is_undone_from(point) => Self::Undoing(answer),
            Some(answer) => Self::Cancelled(answer),
            None => Self::Forward,
        }
    }

    /// How the run of a key that goes this way ends, once its response is stored.
    pub(super) fn end(&self) -> RunEnd {
        if let Self::Undoing(_) = self { RunEnd::Undone } else { RunEnd::Finished }
    }

    pub(super) fn is_forward(&self) -> bool {
        matches!(self, Self::Forward)
    }
}

/// Whether a key that stands there is being undone. No name of the user's has a dot.
pub(super) fn is_undone_from(point: &str) -> bool {
    point.contains('.')
}
