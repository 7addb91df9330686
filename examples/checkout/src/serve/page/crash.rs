//! The crash button: the process kills itself, as a power cut would.

use axum::http::{HeaderMap, StatusCode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Only there with `--crash-button`.
pub(super) const PATH: &str = "/crash";

/// A page of another site cannot send this header without asking first, and is not answered then.
const HEADER: &str = "x-crash";

/// Kills this process with SIGKILL: nothing is finished, nothing is written, no lease is given back.
pub(super) async fn now(headers: HeaderMap) -> StatusCode {
    if headers.get(HEADER).is_none() {
        return StatusCode::FORBIDDEN;
    }
    tracing::warn!("the crash button was pressed: killed by SIGKILL");
    match kill(Pid::this(), Signal::SIGKILL) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
