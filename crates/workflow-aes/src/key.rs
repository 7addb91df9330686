//! The keys: what is derived from them, and nothing else, is kept.

use aes_gcm::{Aes256Gcm, KeyInit as _};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use workflow::Place;

/// A hash of the key, cut to eight bytes: enough to tell keys apart, and nothing to guess one from.
pub(crate) type KeyId = [u8; 8];

/// The uses of a key are kept apart by what the derivation begins with.
const ID: &[u8] = b"workflow-aes/1 id";
const SEAL: &[u8] = b"workflow-aes/1 seal";
const DERIVE: &[u8] = b"workflow-aes/1 derive";

/// A secret for another purpose, by HMAC-SHA-256: it says nothing about the key, nor about any other purpose's.
///
/// For `RunnerBuilder::digest_secret`, which must stay the same when the codec's keys are rotated: go on deriving it
/// from the key it was first derived from.
///
/// ```
/// let key = [7; 32]; // 32 random bytes
/// let secret = workflow_aes::derive(&key, "request digest");
/// assert_ne!(secret, workflow_aes::derive(&key, "sessions"));
/// ```
pub fn derive(key: &[u8; 32], purpose: &str) -> [u8; 32] {
    hash(&keyed(key), &[DERIVE, purpose.as_bytes()]).into_bytes().into()
}

/// One key: the keyed state of its HMAC, wiped when it is dropped. The key itself is not kept.
pub(crate) struct SealingKey {
    pub(crate) id: KeyId,
    mac: Hmac<Sha256>,
}

impl SealingKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mac = keyed(key);
        let mut id = KeyId::default();
        id.copy_from_slice(&hash(&mac, &[ID]).as_bytes()[..8]);
        Self { id, mac }
    }

    /// The cipher for the values of one idempotency key. With a random nonce one AES key is good for 2³² values,
    /// which a busy service seals in days; one key for each idempotency key is never used so often.
    pub(crate) fn cipher(&self, place: Place<'_>) -> Aes256Gcm {
        Aes256Gcm::new(hash(&self.mac, &[SEAL, place.scope.as_bytes(), place.key.as_bytes()]).as_bytes())
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes any length") };
    mac
}

/// HMAC over the parts, each behind its length.
fn hash(mac: &Hmac<Sha256>, parts: &[&[u8]]) -> hmac::digest::CtOutput<Hmac<Sha256>> {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(&length(part));
        mac.update(part);
    }
    mac.finalize()
}

/// What stands before a part of variable length, so that no two lists of parts look alike.
pub(crate) fn length(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_secret_never_changes_between_builds() {
        // m='\0\0\0\0\0\0\0\x15workflow-aes/1 derive\0\0\0\0\0\0\0\x0erequest digest'
        // printf "$m" | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
        let secret = derive(&[7; 32], "request digest");
        let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "c4f4ef8eb6b623c5d9537d62c368bc6fc05eb77f90773b96d82412d3a289f7e7");
    }

    #[test]
    fn purposes_and_keys_give_different_secrets() {
        assert_ne!(derive(&[7; 32], "a"), derive(&[7; 32], "b"));
        assert_ne!(derive(&[7; 32], "a"), derive(&[8; 32], "a"));
    }
}
