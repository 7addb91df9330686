//! The worker processes, from the side of who tells them to work.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::failure::Failure;
use crate::round::Round;
use crate::workload::Workload;

/// The hidden flag that makes this program a worker.
pub const WORKER_FLAG: &str = "--worker";

/// Worker processes on the same tables.
pub struct Crew(Vec<Worker>);

struct Worker {
    child: Child,
    tell: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Crew {
    /// So many processes of this program, each with so many runs in flight.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn start(
        url: &str,
        workload: Workload,
        in_flight: usize,
        processes: usize,
    ) -> Result<Self, Failure> {
        let mut workers = Vec::new();
        for _ in 0..processes {
            workers.push(Worker::start(url, workload, in_flight)?);
        }
        for worker in &mut workers {
            worker.hear().await?;
        }
        Ok(Self(workers))
    }

    /// A round of all of them at once.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn round(&mut self, time: Duration) -> Result<Vec<Round>, Failure> {
        let order = format!("{}\n", time.as_secs_f64());
        for worker in &mut self.0 {
            worker.tell.write_all(order.as_bytes()).await?;
        }
        let mut rounds = Vec::new();
        for worker in &mut self.0 {
            rounds.push(serde_json::from_str(&worker.hear().await?)?);
        }
        Ok(rounds)
    }

    /// Lets them end, and waits until they have.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn dismiss(self) -> Result<(), Failure> {
        for Worker { mut child, tell, .. } in self.0 {
            drop(tell);
            if !child.wait().await?.success() {
                return Err(Failure::Worker);
            }
        }
        Ok(())
    }
}

impl Worker {
    /// The database is named in the environment: its URL may hold a password, and arguments are there for all to see.
    fn start(url: &str, workload: Workload, in_flight: usize) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([WORKER_FLAG, "--in-flight", &in_flight.to_string()])
            .args(workload.arguments())
            .env("DATABASE_URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let tell = child.stdin.take().ok_or(Failure::Worker)?;
        let said = child.stdout.take().ok_or(Failure::Worker)?;
        Ok(Self { child, tell, said: BufReader::new(said).lines() })
    }

    async fn hear(&mut self) -> Result<String, Failure> {
        self.said.next_line().await?.ok_or(Failure::Worker)
    }
}
