//! `checkout gateway`.

use std::path::PathBuf;

use checkout::{Failure, Ledger, serve_gateway};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Args)]
pub(crate) struct Gateway {
    /// The address to listen on; port 0 lets the system choose
    #[arg(long, default_value = "127.0.0.1:4000")]
    listen: String,
    /// The ledger, shared with others under a lock
    #[arg(long, env = "CHECKOUT_LEDGER", default_value = "gateway.ledger.ndjson")]
    ledger: PathBuf,
}

impl Gateway {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let ledger = Ledger::open(self.ledger)?;
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let ready = |at| println!("listening on http://{at}");
        Ok(serve_gateway(ledger, &self.listen, ready, stop).await?)
    }
}
