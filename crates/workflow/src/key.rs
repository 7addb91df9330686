//! The idempotency key: whose it is, and its value.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The longest scope or value, in characters.
pub const MAX_KEY_CHARS: usize = 255;

/// An idempotency key: a **scope** (whose key it is: a tenant, a user) and a **value**.
///
/// Two scopes never see each other: the same value under another scope is another key. Scope and value are 1 to
/// 255 characters from `0x20` to `0x7E`, as in the HTTP draft's structured string.
///
/// `Debug` prints a prefix of the [`hash`](Key::hash) and never the value: who knows the value can read the
/// stored response.
///
/// ```
/// use workflow::Key;
/// let key = Key::new("tenant-7", "8e03978e-40d5-43dd-bc93-6894a57f9324")?;
/// assert_eq!(key.scope(), "tenant-7");
/// assert!(Key::new("tenant-7", "").is_err());
/// # Ok::<(), workflow::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    scope: String,
    value: String,
}

impl Key {
    /// A key from its two parts.
    ///
    /// # Errors
    /// [`KeyError`] if a part is empty, too long, or has a character outside `0x20`–`0x7E`.
    pub fn new(scope: impl Into<String>, value: impl Into<String>) -> Result<Self, KeyError> {
        let (scope, value) = (scope.into(), value.into());
        valid("scope", &scope)?;
        valid("value", &value)?;
        Ok(Self { scope, value })
    }

    /// A key whose value is a fresh UUID (version 4), for a caller that brought none. Hand the value back to the
    /// caller: without it nobody can ask again.
    ///
    /// # Errors
    /// [`KeyError`] if the scope is not valid.
    pub fn fresh(scope: impl Into<String>) -> Result<Self, KeyError> {
        Self::new(scope, Uuid::new_v4().to_string())
    }

    /// Whose key it is.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The value that the caller chose.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Hex SHA-256 of scope, a NUL byte and value: what may stand in logs and reports in place of the key.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.scope.as_bytes());
        hash.update([0]);
        hash.update(self.value.as_bytes());
        hex(&hash.finalize())
    }
}

/// The first eight digits of the hash.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self)
    }
}

/// The first eight digits of the hash: what an error message or a log line shows of a key.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hash()[..8])
    }
}

/// Why a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The part is empty.
    #[error("the {part} of the idempotency key is empty: give 1 to {MAX_KEY_CHARS} characters")]
    Empty {
        /// `scope` or `value`.
        part: &'static str,
    },
    /// The part is too long.
    #[error("the {part} of the idempotency key has {chars} characters: at most {MAX_KEY_CHARS} are allowed")]
    TooLong {
        /// `scope` or `value`.
        part: &'static str,
        /// How many characters it has.
        chars: usize,
    },
    /// A character outside `0x20`–`0x7E`.
    #[error(
        "the {part} of the idempotency key has {found:?} at position {at}: only 0x20 to 0x7E are allowed"
    )]
    Character {
        /// `scope` or `value`.
        part: &'static str,
        /// The character.
        found: char,
        /// Its place, counted in characters from 0.
        at: usize,
    },
}

fn valid(part: &'static str, text: &str) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty { part });
    }
    if let Some((at, found)) = text.chars().enumerate().find(|(_, c)| !(' '..='~').contains(c)) {
        return Err(KeyError::Character { part, found, at });
    }
    match text.len() {
        ..=MAX_KEY_CHARS => Ok(()),
        chars => Err(KeyError::TooLong { part, chars }),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|d| char::from(DIGITS[usize::from(d)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_characters() {
        for ok in ["a", " ", "~", &"k".repeat(255)] {
            assert!(Key::new("s", ok).is_ok() && Key::new(ok, "v").is_ok(), "{ok:?}");
        }
        assert_eq!(Key::new("s", ""), Err(KeyError::Empty { part: "value" }));
        assert_eq!(Key::new("", "v"), Err(KeyError::Empty { part: "scope" }));
        assert_eq!(Key::new("s", "k".repeat(256)), Err(KeyError::TooLong { part: "value", chars: 256 }));
        for (bad, at) in [("\n", 0), ("a\u{7f}", 1), ("aé", 1), ("a\0b", 1)] {
            assert!(matches!(Key::new("s", bad), Err(KeyError::Character { at: found, .. }) if found == at));
        }
    }

    #[test]
    fn debug_and_display_never_show_the_value() {
        let key = Key::new("tenant", "secret-value").unwrap();
        assert!(!format!("{key:?} {key}").contains("secret"));
        assert_eq!(format!("{key}").len(), 8);
    }

    #[test]
    fn the_hash_is_of_scope_nul_value() {
        // printf 'a\0b' | sha256sum
        let expected = "59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138";
        assert_eq!(Key::new("a", "b").unwrap().hash(), expected);
    }

    #[test]
    fn a_fresh_key_is_a_uuid_of_version_4() {
        let key = Key::fresh("s").unwrap();
        assert_eq!(Uuid::parse_str(key.value()).unwrap().get_version_num(), 4);
        assert_ne!(key, Key::fresh("s").unwrap());
    }
}
