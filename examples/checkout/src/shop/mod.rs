//! The shop: what the steps need besides the database, and its own tables on any of two databases.

mod app;
mod row;
mod schema;
mod sql;
mod store;

pub use app::Shop;
pub use row::{JobRow, OrderRow, StockRow, Totals};
pub(crate) use sql::NotOneRow;
pub use sql::ShopSql;
pub use store::ShopStore;
