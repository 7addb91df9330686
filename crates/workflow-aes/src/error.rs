//! What can go wrong, by what a person can do about it. No message ever holds content.

use std::fmt;

use workflow::Place;

use crate::key::KeyId;

/// The first byte of every sealed value. Another layout gets another one.
pub(crate) const FORMAT: u8 = 1;

/// Why the keys were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// No key at all.
    #[error("no key was given: AES-256-GCM needs at least one, of 32 random bytes")]
    Empty,
    /// Two equal keys: a rotation that rotates nothing.
    #[error("key {second} is the same as key {first}, counted from 1: give each key once, the newest first")]
    Twice {
        /// The first of the two, counted from 1.
        first: usize,
        /// The second.
        second: usize,
    },
}

/// Why a value could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The operating system gives no random bytes, so there is no nonce.
    #[error("{at} cannot be sealed: the operating system gives no random bytes; see to that and try again")]
    Random {
        /// Where the value was going to.
        at: At,
        /// Why.
        source: getrandom::Error,
    },
    /// More than 64 GiB.
    #[error("{at} cannot be sealed: it is longer than AES-GCM allows (64 GiB); store less")]
    TooLong {
        /// Where the value was going to.
        at: At,
    },
}

/// Why a value could not be opened. The row was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It was sealed with a key that was not given.
    #[error(
        "{at} was sealed with key {id}, which is not among the keys: give that key to `AesGcm::new` \
         too, after the one that seals"
    )]
    UnknownKey {
        /// Where the value stands.
        at: At,
        /// The id of the missing key, in hex.
        id: String,
    },
    /// It was sealed by something else, by a later build, or not at all.
    #[error(
        "{at} begins with format byte {found}, not {expected}: it was stored without this codec, or \
         by a newer build; open it with what sealed it",
        expected = FORMAT
    )]
    Format {
        /// Where the value stands.
        at: At,
        /// Its first byte.
        found: u8,
    },
    /// Shorter than an empty value sealed.
    #[error(
        "{at} has {bytes} bytes, too few to be sealed: it was cut, or stored without this codec; \
         look at the row, and restore it if it was cut"
    )]
    TooShort {
        /// Where the value stands.
        at: At,
        /// How many bytes it has.
        bytes: usize,
    },
    /// It was changed, or moved here from another place.
    #[error(
        "{at} is not authentic: the bytes were changed, or moved here from another scope, key, \
         column or recovery point; find out who wrote to this row, and restore it"
    )]
    NotAuthentic {
        /// Where the value stands.
        at: At,
    },
}

/// Where a value stands: its column and its recovery point. Neither scope nor key, which would stand in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The column.
    pub column: &'static str,
    /// The recovery point whose data it is; empty elsewhere.
    pub point: String,
}

impl From<Place<'_>> for At {
    fn from(place: Place<'_>) -> Self {
        Self { column: place.column, point: place.point.to_owned() }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.point.as_str() {
            "" => write!(f, "`{}`", self.column),
            point => write!(f, "`{}` of recovery point `{point}`", self.column),
        }
    }
}

pub(crate) fn hex(id: KeyId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
