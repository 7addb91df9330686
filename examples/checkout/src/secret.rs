//! The secret keys: what seals cards, and what keys the digest of a request.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use workflow_aes::{AesGcm, derive};

/// What the digest's secret is derived for.
const DIGEST: &str = "request digest";

/// The keys: the first seals, all open, the last one keys the digest.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKeys(Vec<[u8; 32]>);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Not hex, or of another length.
    #[error(
        "a secret key is 64 hex digits, several are separated by commas: make one with `openssl rand -hex 32`"
    )]
    Hex,
    /// The codec refuses them.
    #[error(transparent)]
    Refused(#[from] workflow_aes::KeysError),
    /// The file failed.
    #[error("the key file {} failed", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are keys in the database, but the file that opens them is not there.
    #[error(
        "the database holds orders, but its key file {} is missing: put it back, or give the key with --secret-key",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// On PostgreSQL there is no file beside the database.
    #[error("a secret key must be given with PostgreSQL: --secret-key or CHECKOUT_SECRET_KEY")]
    NotGiven,
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

impl SecretKeys {
    /// The codec.
    ///
    /// # Errors
    /// [`SecretError::Refused`] if a key stands there twice.
    pub fn codec(&self) -> Result<AesGcm, SecretError> {
        Ok(AesGcm::new(self.0.iter().copied())?)
    }

    /// The secret that keys the digest of a request: the last key's, so that a new one may be put before it.
    pub fn digest_secret(&self) -> Vec<u8> {
        self.0.last().map(|key| derive(key, DIGEST).to_vec()).unwrap_or_default()
    }

    /// The keys in this file; `None` if it is not there.
    ///
    /// # Errors
    /// [`SecretError`] if it cannot be read, or holds no key.
    pub fn read(path: &Path) -> Result<Option<Self>, SecretError> {
        match fs::read_to_string(path) {
            Ok(text) => text.trim_end().parse().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SecretError::File { path: path.to_owned(), source }),
        }
    }

    /// The keys in this file; if it is not there, a random one that is written to it. Processes that do this at
    /// once agree: a whole file is linked to the name, and the first link stays.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if it cannot be written.
    pub fn read_or_create(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::File { path: path.to_owned(), source };
        if let Some(keys) = Self::read(path)? {
            return Ok(keys);
        }
        let (mut key, mut mark) = ([0; 32], [0; 8]);
        getrandom::fill(&mut key)?;
        getrandom::fill(&mut mark)?;
        let mut unlinked = path.as_os_str().to_owned();
        unlinked.push(format!(".{:016x}.tmp", u64::from_be_bytes(mark)));
        let unlinked = PathBuf::from(unlinked);
        let linked = written(&unlinked, &key).and_then(|()| linked(&unlinked, path));
        let _ = fs::remove_file(&unlinked);
        linked.map_err(failed)?;
        Self::read(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }
}

/// The text is never printed.
impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeys({})", self.0.len())
    }
}

impl FromStr for SecretKeys {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        text.split(',').map(|key| unhex(key.trim())).collect::<Option<_>>().map(Self).ok_or(SecretError::Hex)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(key)
}

/// Whole and on disk, for the owner only.
fn written(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{hex}")?;
    file.sync_all()
}

/// The name on disk too: rows that nobody can open must never outlive the key.
fn linked(unlinked: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(unlinked, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;

    #[test]
    fn all_who_start_together_agree_on_one_key_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db.key");
        let barrier = Barrier::new(16);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        SecretKeys::read_or_create(&path).unwrap()
                    })
                })
                .collect();
            started.into_iter().map(|started| started.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|one| *one == keys[0]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn keys_are_64_hex_digits_and_never_printed() {
        let key = "ab".repeat(32);
        let keys: SecretKeys = format!("{key}, {}", "cd".repeat(32)).parse().unwrap();
        assert_eq!(keys.0, [[0xab; 32], [0xcd; 32]]);
        assert!(!format!("{keys:?}").contains("ab"));
        for bad in ["", "ab", &"é".repeat(32), &"+1".repeat(32), &key[1..], &format!("{key},")] {
            assert!(matches!(bad.parse::<SecretKeys>(), Err(SecretError::Hex)), "{bad:?}");
        }
    }

    #[test]
    fn the_last_key_keys_the_digest_for_ever() {
        let (old, new) = ("ab".repeat(32), "cd".repeat(32));
        let before: SecretKeys = old.parse().unwrap();
        let after: SecretKeys = format!("{new},{old}").parse().unwrap();
        assert_eq!(before.digest_secret(), after.digest_secret());
    }
}
