//! The codec: seals and opens.

use std::fmt;

use aes_gcm::Nonce;
use aes_gcm::aead::AeadInOut as _;
use workflow::{BoxError, Codec, Place};

use crate::error::{FORMAT, KeysError, OpenError, SealError, hex};
use crate::key::{KeyId, SealingKey, length};

const ID_BYTES: usize = size_of::<KeyId>();
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Format byte and key id: bound in as associated data too.
const HEAD_BYTES: usize = 1 + ID_BYTES;
const FRONT_BYTES: usize = HEAD_BYTES + NONCE_BYTES;

/// AES-256-GCM as a [`Codec`]: the first key seals, all keys open.
///
/// `Debug` shows the ids of the keys and nothing of the keys. What is kept of them is wiped from memory when the codec
/// is dropped; the caller's own copies are the caller's.
///
/// ```
/// use workflow::{Codec, Place};
/// use workflow_aes::AesGcm;
///
/// let codec = AesGcm::new([[7; 32]])?; // 32 random bytes
/// let place = Place { scope: "tenant-7", key: "8e03978e", column: "request_params", point: "" };
/// let sealed = codec.seal(place, b"4242 4242 4242 4242".to_vec())?;
/// assert!(!sealed.windows(4).any(|four| four == b"4242"));
/// assert_eq!(codec.open(place, sealed)?, b"4242 4242 4242 4242");
/// # Ok::<(), workflow::BoxError>(())
/// ```
pub struct AesGcm {
    seals: SealingKey,
    opens: Vec<SealingKey>,
}

impl AesGcm {
    /// A codec of these keys, each of 32 random bytes: the newest first, and after it those whose values are still
    /// stored.
    ///
    /// # Errors
    /// [`KeysError`] if there is no key, or the same one twice.
    pub fn new(keys: impl IntoIterator<Item = [u8; 32]>) -> Result<Self, KeysError> {
        let mut keys = keys.into_iter().map(|key| SealingKey::new(&key));
        let mut codec = Self { seals: keys.next().ok_or(KeysError::Empty)?, opens: Vec::new() };
        for key in keys {
            if let Some(same) = codec.keys().position(|known| known.id == key.id) {
                return Err(KeysError::Twice { first: same + 1, second: codec.opens.len() + 2 });
            }
            codec.opens.push(key);
        }
        Ok(codec)
    }

    fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.seals).chain(&self.opens)
    }

    fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let at = || place.into();
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|source| SealError::Random { at: at(), source })?;
        let mut sealed = Vec::with_capacity(FRONT_BYTES + plain.len() + TAG_BYTES);
        sealed.push(FORMAT);
        sealed.extend(self.seals.id);
        let bound = bound(&sealed, place);
        sealed.extend(nonce);
        sealed.extend(plain);
        let body = (&mut sealed[FRONT_BYTES..]).into();
        let tag = self
            .seals
            .cipher(place)
            .encrypt_inout_detached(&Nonce::from(nonce), &bound, body)
            .map_err(|_| SealError::TooLong { at: at() })?;
        sealed.extend(tag);
        Ok(sealed)
    }

    fn open(&self, place: Place<'_>, mut sealed: Vec<u8>) -> Result<Vec<u8>, OpenError> {
        let at = || place.into();
        match sealed.first() {
            Some(&found) if found != FORMAT => return Err(OpenError::Format { at: at(), found }),
            _ if sealed.len() < FRONT_BYTES + TAG_BYTES => {
                return Err(OpenError::TooShort { at: at(), bytes: sealed.len() });
            }
            _ => {}
        }
        let (front, rest) = sealed.split_at_mut(FRONT_BYTES);
        let (body, tag) = rest.split_at_mut(rest.len() - TAG_BYTES);
        let (head, nonce) = front.split_at(HEAD_BYTES);
        let (mut id, mut n, mut t) = (KeyId::default(), [0; NONCE_BYTES], [0; TAG_BYTES]);
        id.copy_from_slice(&head[1..]);
        n.copy_from_slice(nonce);
        t.copy_from_slice(tag);
        let key = self.keys().find(|key| key.id == id);
        let key = key.ok_or_else(|| OpenError::UnknownKey { at: at(), id: hex(id) })?;
        key.cipher(place)
            .decrypt_inout_detached(&n.into(), &bound(head, place), body.into(), &t.into())
            .map_err(|_| OpenError::NotAuthentic { at: at() })?;
        sealed.truncate(sealed.len() - TAG_BYTES);
        sealed.drain(..FRONT_BYTES);
        Ok(sealed)
    }
}

/// The associated data: what must be the same when a value is opened, although it is not stored with it.
fn bound(head: &[u8], place: Place<'_>) -> Vec<u8> {
    let mut bound = head.to_vec();
    for part in [place.scope, place.key, place.column, place.point] {
        bound.extend(length(part.as_bytes()));
        bound.extend(part.as_bytes());
    }
    bound
}

impl Codec for AesGcm {
    fn seal(&self, place: Place<'_>, plain: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        Ok(Self::seal(self, place, &plain)?)
    }

    fn open(&self, place: Place<'_>, sealed: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        Ok(Self::open(self, place, sealed)?)
    }
}

/// The ids only.
impl fmt::Debug for AesGcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.keys().map(|key| hex(key.id)).collect();
        write!(f, "AesGcm({})", ids.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];
    const AT: Place<'static> = Place { scope: "s", key: "k", column: "data", point: "order_created" };

    fn codec(keys: &[[u8; 32]]) -> AesGcm {
        AesGcm::new(keys.iter().copied()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again() {
        let codec = codec(&[NEW]);
        for plain in [vec![], b"{}".to_vec(), vec![0xa5; 1 << 20]] {
            let sealed = codec.seal(AT, &plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + 37);
            assert!(codec.open(AT, sealed).unwrap() == plain, "{} bytes", plain.len());
        }
    }

    #[test]
    fn no_bit_can_be_changed() {
        let codec = codec(&[NEW, OLD]);
        let sealed = codec.seal(AT, br#"{"order_id":7}"#).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = codec.open(AT, changed).unwrap_err();
            match bit / 8 {
                0 => assert!(matches!(error, OpenError::Format { .. }), "bit {bit}: {error}"),
                1..=8 => assert!(matches!(error, OpenError::UnknownKey { .. }), "bit {bit}: {error}"),
                _ => assert!(matches!(error, OpenError::NotAuthentic { .. }), "bit {bit}: {error}"),
            }
        }
    }

    #[test]
    fn no_byte_can_be_cut_or_added() {
        let codec = codec(&[NEW]);
        let sealed = codec.seal(AT, b"7").unwrap();
        for len in 0..sealed.len() {
            let error = codec.open(AT, sealed[..len].to_vec()).unwrap_err();
            let short = len < FRONT_BYTES + TAG_BYTES;
            assert_eq!(matches!(error, OpenError::TooShort { bytes, .. } if bytes == len), short, "{error}");
        }
        assert!(codec.open(AT, [sealed, vec![0]].concat()).is_err());
    }

    #[test]
    fn the_key_id_cannot_be_exchanged() {
        let codec = codec(&[NEW, OLD]);
        let mut sealed = codec.seal(AT, b"7").unwrap();
        sealed[1..HEAD_BYTES].copy_from_slice(&codec.opens[0].id);
        assert_eq!(codec.open(AT, sealed), Err(OpenError::NotAuthentic { at: AT.into() }));
    }

    #[test]
    fn a_value_opens_only_at_its_place() {
        let codec = codec(&[NEW]);
        let sealed = codec.seal(AT, b"7").unwrap();
        let others = [
            Place { scope: "t", ..AT },
            Place { key: "l", ..AT },
            Place { column: "request_params", ..AT },
            Place { point: "payment_captured", ..AT },
            // The same characters, cut elsewhere.
            Place { scope: "sk", key: "", ..AT },
            Place { key: "kd", column: "ata", ..AT },
            Place { column: "dataorder", point: "_created", ..AT },
        ];
        for place in others {
            assert_eq!(codec.open(place, sealed.clone()), Err(OpenError::NotAuthentic { at: place.into() }));
        }
        assert!(codec.open(AT, sealed).is_ok());
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (before, after) = (codec(&[OLD]), codec(&[NEW, OLD]));
        let sealed = before.seal(AT, b"7").unwrap();
        assert_eq!(after.open(AT, sealed).unwrap(), b"7");
        let sealed = after.seal(AT, b"8").unwrap();
        let id = hex(after.seals.id);
        assert_eq!(before.open(AT, sealed.clone()), Err(OpenError::UnknownKey { at: AT.into(), id }));
        assert_eq!(codec(&[OLD, NEW]).open(AT, sealed).unwrap(), b"8");
    }

    #[test]
    fn a_codec_has_keys_and_each_once() {
        assert_eq!(AesGcm::new([]).unwrap_err(), KeysError::Empty);
        let twice = AesGcm::new([OLD, NEW, [3; 32], NEW]).unwrap_err();
        assert_eq!(twice, KeysError::Twice { first: 2, second: 4 });
    }

    #[test]
    fn the_same_value_is_never_sealed_alike() {
        let codec = codec(&[NEW]);
        let sealed: std::collections::HashSet<_> = (0..1000).map(|_| codec.seal(AT, b"7").unwrap()).collect();
        let nonces: std::collections::HashSet<_> =
            sealed.iter().map(|s| &s[HEAD_BYTES..FRONT_BYTES]).collect();
        assert_eq!(nonces.len(), 1000);
    }

    #[test]
    fn debug_shows_ids_only() {
        let shown = format!("{:?}", codec(&[[0x41; 32], [0x42; 32]]));
        assert!(shown.starts_with("AesGcm(") && shown.len() == "AesGcm()".len() + 2 * 16 + 2, "{shown}");
        for part in ["41414141", "42424242", "AAAA", "BBBB", "65, 65", "66, 66"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn errors_say_where_and_never_what() {
        let codec = codec(&[NEW]);
        let place = Place { scope: "tenant-7", key: "8e03978e", ..AT };
        let mut sealed = codec.seal(place, b"secret").unwrap();
        let plain = codec.open(place, b"{\"card\":\"secret\"}".to_vec()).unwrap_err().to_string();
        sealed[30] ^= 1;
        let changed = codec.open(place, sealed).unwrap_err().to_string();
        for message in [plain, changed] {
            assert!(message.contains("`data` of recovery point `order_created`"), "{message}");
            assert!(
                !["secret", "card", "tenant-7", "8e03978e"].iter().any(|s| message.contains(s)),
                "{message}"
            );
        }
        let request = Place { column: "request_params", point: "", ..AT };
        let message = codec.open(request, vec![1]).unwrap_err().to_string();
        assert!(message.starts_with("`request_params` has 1 bytes"), "{message}");
    }

    /// Sealed by another implementation of the same format, in another language: every later build must open it.
    #[test]
    fn the_format_never_changes() {
        let hex = concat!(
            "01864109312210a70d000102030405060708090a0bfe2eaebd",
            "1ada8354443cb681683bdbc3ffd49620b7db9e6221643b17fe03",
        );
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let sealed = (0..hex.len()).step_by(2).map(byte).collect();
        assert_eq!(codec(&[OLD]).open(AT, sealed).unwrap(), br#"{"order_id":7}"#);
    }
}
