//! A payment gateway over HTTP.

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Charge, Gateway, GatewayError, Verdict};
use crate::outside::Outside;
use crate::stamp::Stamp;

/// A payment gateway at a base address.
#[derive(Debug, Clone)]
pub struct HttpGateway(Outside);

#[derive(Deserialize)]
struct Captured {
    charge_id: String,
}

#[derive(Deserialize)]
struct Declined {
    error: String,
}

#[derive(Deserialize)]
struct Refunded {
    refund_id: String,
}

impl HttpGateway {
    /// The gateway at this base address.
    pub fn new(client: &Client, base: &Url) -> Self {
        Self(Outside::new("the gateway", client, base))
    }

    async fn charged(&self, stamp: &Stamp, charge: &Charge) -> Result<Verdict, GatewayError> {
        let answer = self.0.post(stamp, "charges", charge).await?;
        match answer.status().as_u16() {
            201 => {
                let Captured { charge_id } = self.0.json(answer).await?;
                Ok(Verdict::Captured { charge_id })
            }
            402 => {
                let Declined { error } = self.0.json(answer).await?;
                Ok(Verdict::Declined { reason: error })
            }
            _ => Err(self.0.unexpected(&answer))?,
        }
    }

    async fn refunded(&self, stamp: &Stamp, charge_id: &str) -> Result<String, GatewayError> {
        let answer = self.0.post(stamp, "refunds", &json!({ "charge_id": charge_id })).await?;
        match answer.status().as_u16() {
            201 => {
                let Refunded { refund_id } = self.0.json(answer).await?;
                Ok(refund_id)
            }
            _ => Err(self.0.unexpected(&answer))?,
        }
    }
}

impl Gateway for HttpGateway {
    fn charge<'a>(&'a self, stamp: &'a Stamp, charge: &'a Charge) -> Answer<'a> {
        Box::pin(self.charged(stamp, charge))
    }

    fn refund<'a>(&'a self, stamp: &'a Stamp, charge_id: &'a str) -> Answer<'a, String> {
        Box::pin(self.refunded(stamp, charge_id))
    }
}
