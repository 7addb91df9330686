#![doc = include_str!("../README.md")]

mod codec;
mod error;
mod key;

pub use codec::AesGcm;
pub use error::{At, KeysError, OpenError, SealError};
pub use key::derive;
