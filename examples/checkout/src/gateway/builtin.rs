//! The built-in gateway, in this process: its ledger is its memory.

use std::sync::Arc;

use super::{Answer, Charge, Gateway};
use crate::ledger::{Caller, Ledger};
use crate::stamp::Stamp;

/// The gateway that runs inside the shop's process.
#[derive(Debug, Clone)]
pub struct BuiltIn(Arc<Ledger>);

impl BuiltIn {
    /// A gateway that keeps this ledger.
    pub fn new(ledger: Ledger) -> Self {
        Self(Arc::new(ledger))
    }
}

impl Gateway for BuiltIn {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        let (ledger, caller, charge) = (self.0.clone(), Caller::of(stamp), charge.clone());
        Box::pin(async move {
            // It waits for a file lock and a disk.
            let charged = tokio::task::spawn_blocking(move || ledger.charge(&caller, &charge));
            Ok(charged.await??)
        })
    }

    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        let (ledger, caller, charge_id) = (self.0.clone(), Caller::of(stamp), charge_id.to_owned());
        Box::pin(async move {
            let refunded = tokio::task::spawn_blocking(move || ledger.refund(&caller, &charge_id));
            Ok(refunded.await??)
        })
    }
}
