//! What a run is told from outside while an attempt is under way.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// What can be told to the run of a key.
#[derive(Default)]
pub(crate) struct Signals {
    /// Another has the key.
    pub(crate) lost: Signal,
    /// A cancel was asked for, or another has the key.
    pub(crate) cancelled: Signal,
}

/// Raised once, for ever. Its token is made when somebody wants it: most runs need none.
#[derive(Default)]
pub(crate) struct Signal {
    raised: AtomicBool,
    token: OnceLock<CancellationToken>,
}

impl Signals {
    /// Another has the key.
    pub(crate) fn lose(&self) {
        self.lost.raise();
        self.cancelled.raise();
    }
}

impl Signal {
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        if let Some(token) = self.token.get() {
            token.cancel();
        }
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        let token = self.token.get_or_init(CancellationToken::new);
        // Whoever has raised it just before has seen no token.
        if self.is_raised() {
            token.cancel();
        }
        token
    }
}
