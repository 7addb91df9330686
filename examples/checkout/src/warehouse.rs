//! The warehouse: told of a placed order. It tolerates being told twice.

use reqwest::{Client, Url};
use serde_json::json;
use workflow::BoxError;

use crate::outside::Outside;
use crate::stamp::Stamp;

/// Who is told of a placed order.
#[derive(Debug, Clone)]
pub enum Warehouse {
    /// Nobody: a line in the log.
    Log,
    /// `POST {sink}/shipments`.
    Sink(Outside),
}

impl Warehouse {
    /// The sink at this address; without one, only the log.
    pub fn at(client: &Client, sink: Option<&Url>) -> Self {
        sink.map_or(Self::Log, |url| Self::Sink(Outside::new("the sink", client, url)))
    }

    /// Announces the shipment.
    ///
    /// # Errors
    /// [`OutsideError`](crate::OutsideError) unless the sink answered 2xx. None of them is a doubt: being told twice
    /// harms nobody.
    pub async fn ship(&self, stamp: &Stamp, order_id: &str) -> Result<(), BoxError> {
        match self {
            Self::Log => {
                tracing::info!(order_id, "shipment announced");
                Ok(())
            }
            Self::Sink(sink) => {
                let answer = sink.post(stamp, "shipments", &json!({ "order_id": order_id })).await?;
                if answer.status().is_success() {
                    Ok(())
                } else {
                    Err(sink.unexpected(&answer).in_its_time())
                }
            }
        }
    }
}
