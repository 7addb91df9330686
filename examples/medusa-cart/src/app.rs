//! The application: what the steps need besides the database.

use std::fmt;
use std::sync::Arc;

use crate::payments::Payments;

/// What the steps find at `cx.app`.
#[derive(Clone)]
pub struct App {
    /// Who takes the money.
    pub payments: Arc<dyn Payments>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}
