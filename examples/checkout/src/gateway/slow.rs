//! A gateway that takes its time, so that a person can watch it, and kill who waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Answer, Charge, Gateway};
use crate::stamp::Stamp;

/// Another gateway, whose answers come later: what was charged is in its ledger before that.
pub(crate) struct Slow {
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) delay: Duration,
}

impl Gateway for Slow {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        Box::pin(async move {
            let verdict = self.gateway.charge(stamp, charge).await;
            sleep(self.delay).await;
            verdict
        })
    }

    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        self.gateway.refund(stamp, charge_id)
    }
}
