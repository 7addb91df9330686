//! `checkout serve`.

use checkout::{Calls, Database, Failure, Migration, Running, Secret, Serve as Settings, Serving, serve};
use clap::Args;

use super::{LogFormat, supervise};

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    migration: Migration,
    #[command(flatten)]
    secret: Secret,
    #[command(flatten)]
    calls: Calls,
    #[command(flatten)]
    running: Running,
    /// How the log is written, on standard error; the variable that says how much of it is `RUST_LOG`
    #[arg(long, env = "CHECKOUT_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// This process is started again by another one when it was killed
    #[arg(long, hide = true)]
    supervised: bool,
}

impl Serve {
    pub(super) fn log_format(&self) -> LogFormat {
        self.log_format
    }

    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.serving.crash_button && !self.supervised {
            true => supervise::supervise().await,
            false => self.serve().await,
        }
    }

    async fn serve(self) -> Result<(), Failure> {
        let running = if self.serving.crash_button { self.running.watched() } else { self.running };
        let settings = Settings {
            database: self.database,
            migration: self.migration,
            secret: self.secret,
            calls: self.calls,
            running,
            serving: self.serving,
        };
        let ready = |at| println!("{}{at}", supervise::LISTENING);
        if !self.supervised {
            return serve(settings, ready).await;
        }
        tokio::select! {
            served = serve(settings, ready) => served,
            () = supervise::orphaned() => std::process::abort(),
        }
    }
}
