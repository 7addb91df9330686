//! The demo's directory: one demo at a time, one database, one ledger.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::open::beside;
use crate::settings::{Calls, Database, OPENING_STOCK, Running};

/// The directory, and the lock on it.
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// This directory; without one, one of the build's, which nobody commits, or else one beside it.
    ///
    /// # Errors
    /// [`Failure::File`] if it cannot be had, or another demo runs in it.
    pub(super) fn open(given: Option<PathBuf>) -> Result<Self, Failure> {
        let path = given.unwrap_or_else(|| match Path::new("target").is_dir() {
            true => "target/checkout-demo".into(),
            false => "checkout-demo".into(),
        });
        let failed = |doing| {
            let path = path.clone();
            move |source| Failure::File { path, doing, source }
        };
        fs::create_dir_all(&path)
            .map_err(failed("cannot be made a directory: choose another one with --dir"))?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path.join("lock"));
        let lock = lock.map_err(failed("cannot be written to: choose another directory with --dir"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let source = io::Error::other("its lock is held");
                failed("is in use by another demo: wait for it, or choose another directory with --dir")(
                    source,
                )
            }
            TryLockError::Error(source) => failed("cannot be locked: choose another one with --dir")(source),
        })?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn ledger(&self) -> PathBuf {
        beside(&database_file(&self.path), ".ledger.ndjson")
    }

    pub(super) fn answers(&self) -> PathBuf {
        self.path.join("answers")
    }
}

fn database_file(directory: &Path) -> PathBuf {
    directory.join("checkout.db")
}

/// The database in this directory.
pub(super) fn database(directory: &Path) -> Result<Database, Failure> {
    let file = database_file(directory);
    let file = file.to_str().filter(|file| !file.contains(['?', '#', '%']));
    let file = file.ok_or_else(|| {
        Failure::Usage("--dir: the name must be UTF-8 without any of ?, # and %".to_owned())
    })?;
    Ok(Database { database_url: format!("sqlite://{file}"), pool: 16 })
}

/// The built-in gateway, nobody to tell.
pub(super) fn calls(node: &str) -> Calls {
    Calls {
        gateway_url: None,
        ledger: None,
        sink_url: None,
        node_id: Some(node.to_owned()),
        step_timeout_ms: 10_000,
    }
}

/// As by default, but for the lease.
pub(super) fn running(lease_ms: u64) -> Running {
    Running {
        namespace: "checkout-demo".to_owned(),
        lease_ms,
        heartbeat_ms: None,
        retention_ms: 72 * 60 * 60 * 1000,
        stock: OPENING_STOCK,
    }
}
