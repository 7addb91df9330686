//! The application: what the steps need besides the database.

use std::fmt;
use std::sync::Arc;

use crate::gateway::Gateway;
use crate::warehouse::Warehouse;

/// What the steps find at `cx.app`.
#[derive(Clone)]
pub struct Shop {
    /// Where cards are charged.
    pub gateway: Arc<dyn Gateway>,
    /// Who is told of a placed order.
    pub warehouse: Warehouse,
    /// The opening stock of an article that is seen for the first time.
    pub opening_stock: i64,
    /// The name under which this process calls others.
    pub node: Arc<str>,
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").field("node", &self.node).finish_non_exhaustive()
    }
}
