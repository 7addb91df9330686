//! What the programs here share: the work, the closed loop that counts it, and what reads the databases' counters.

pub mod args;
pub mod compare;
pub mod error;
pub mod figures;
pub mod measure;
pub mod peer;
pub mod postgres;
pub mod pragmas;
pub mod site;
pub mod sqlite;
pub mod versions;
pub mod waiting;
pub mod work;
pub mod working;

pub use args::Args;
pub use error::Error;
pub use figures::Figures;
pub use peer::{Peer, main};
pub use site::{Database, Kind};
pub use waiting::Waiting;
pub use work::{Done, Order, Receipt, STEPS};
