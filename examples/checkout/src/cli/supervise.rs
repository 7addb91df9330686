//! A server that is started again when it was killed: what a service manager does, for who tries the crash button.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use checkout::Failure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use owo_colors::OwoColorize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// What the server says as its first line, before its address.
pub(super) const LISTENING: &str = "listening on http://";

/// Runs this program again as the server, until that one ends by itself or this one is asked to end.
pub(super) async fn supervise() -> Result<(), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut at = None;
    loop {
        let mut server = started(at.as_deref())?;
        // Closed, it tells the server that nobody would start it again.
        let _open = server.stdin.take();
        let status = tokio::select! {
            status = lives(&mut server, &mut at) => status?,
            _ = terminate.recv() => end(&mut server).await?,
            _ = interrupt.recv() => end(&mut server).await?,
        };
        match status.signal() {
            Some(9) => {
                anstream::eprintln!("{} it is started again", "the server was killed:".yellow().bold())
            }
            _ if status.success() => return Ok(()),
            _ => return Err(Failure::Ended(status)),
        }
    }
}

/// The same command again; from the second time on at the address that the system chose at the first.
fn started(at: Option<&str>) -> io::Result<Child> {
    let mut server = Command::new(std::env::current_exe()?);
    server.args(std::env::args_os().skip(1)).arg("--supervised").stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(at) = at {
        server.args(["--listen", at]);
    }
    server.spawn()
}

async fn lives(server: &mut Child, at: &mut Option<String>) -> io::Result<ExitStatus> {
    if let Some(says) = server.stdout.take() {
        let mut says = BufReader::new(says).lines();
        while let Some(line) = says.next_line().await? {
            if let (None, Some(address)) = (&at, line.strip_prefix(LISTENING)) {
                *at = Some(address.to_owned());
                println!("{line}");
            }
        }
    }
    server.wait().await
}

/// Asks the server to end, and waits until it has.
async fn end(server: &mut Child) -> io::Result<ExitStatus> {
    if let Some(id) = server.id().and_then(|id| i32::try_from(id).ok()) {
        kill(Pid::from_raw(id), Signal::SIGTERM)?;
    }
    server.wait().await
}

/// Returns when the process that would start this one again is gone: then its end of the pipe is closed.
pub(super) async fn orphaned() {
    let (gone, heard) = oneshot::channel::<()>();
    // A thread of its own, since the runtime would wait for one of its own at the end.
    std::thread::spawn(move || {
        let _ = io::stdin().read(&mut [0]);
        drop(gone);
    });
    let _ = heard.await;
}
