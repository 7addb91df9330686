#![doc = include_str!("../README.md")]

mod audit;
mod cancel;
mod card;
mod currency;
mod demo;
mod failure;
mod figures;
mod gateway;
mod import;
mod ledger;
mod listing;
mod open;
mod order;
mod outside;
mod point;
mod problem;
mod progress;
mod purchase;
mod secret;
mod serve;
mod settings;
mod shop;
mod stamp;
mod steps;
mod warehouse;

pub use audit::write as write_audit;
pub use cancel::{Cancelled, cancel};
pub use card::Card;
pub use demo::{run as run_demo, run_child as run_demo_child};
pub use failure::Failure;
pub use figures::{dollars, grouped, print_json, sha256};
pub use gateway::{
    Answer, BuiltIn, Charge, Gateway, GatewayError, HttpGateway, ServeError, Verdict, serve as serve_gateway,
};
pub use import::{Import, PATIENCE_MS, Summary, Unanswered, chain};
pub use ledger::{Caller, Found, Ledger, LedgerError, Line, Outcome, Refusal, lines as ledger_lines};
pub use listing::{orders as write_orders, outbox as write_outbox, stock as write_stock};
pub use open::{AnyStore, runner, secret_keys, shop, sqlite_file};
pub use order::{Invalid, Order};
pub use outside::{Outside, OutsideError};
pub use point::{OrderPlaced, PaymentCaptured, StockReserved};
pub use progress::Progress;
pub use purchase::{BadFile, BadLine, BadLines, Purchase, read as read_purchases, total as total_cents};
pub use secret::{SecretError, SecretKeys};
pub use serve::{Serve, StartError, serve};
pub use settings::{Calls, Database, Migration, Running, Secret, Serving};
pub use shop::{JobRow, OrderRow, Shop, ShopSql, ShopStore, StockRow, Totals};
pub use stamp::Stamp;
pub use steps::checkout;
pub use warehouse::Warehouse;

/// The purchases of `data/cdnow_sample.txt`.
pub const CDNOW: &[u8] = include_bytes!("../data/cdnow_sample.txt");
