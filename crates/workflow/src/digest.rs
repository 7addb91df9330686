//! The request's digest, the effect seed and the effect key: what is the same request, and what is the same call.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::Key;

/// The version of the digest that this build writes.
pub const DIGEST_VERSION: i16 = 1;

/// Deeper JSON is refused: `serde_json` would not read it back from where it is stored, inside other levels.
const MAX_DEPTH: usize = 120;

/// The longest method and path, in characters: the columns hold no more.
const MAX_METHOD: usize = 20;
const MAX_PATH: usize = 2000;

/// Where a request came in, if it came over HTTP: part of what makes it the same request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The method, as it came.
    pub method: Option<String>,
    /// The path and the query, as they came.
    pub path: Option<String>,
    /// What else makes it the same request: any bytes, compared and not stored. Empty is nothing.
    pub fingerprint: Vec<u8>,
}

/// Why a request was refused before anything was claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It is not JSON.
    #[error("the request is not JSON")]
    Json(#[from] serde_json::Error),
    /// An object has a member twice: nobody can say which of the two counts.
    #[error("the request has the member {0:?} twice in one object")]
    Duplicate(String),
    /// It is nested too deeply.
    #[error("the request is nested more than {MAX_DEPTH} levels deep")]
    Depth,
    /// It is JSON, but its type does not read it back (a NaN became null, a skipped field has no default): the run
    /// could not go on with what is stored.
    #[error("the request cannot be read back from its own JSON")]
    Unreadable(#[source] serde_json::Error),
    /// Its method or path is too long to be stored, or has a NUL in it.
    #[error("the request's {part} has over {most} characters, or a NUL in it")]
    Origin {
        /// `method` or `path`.
        part: &'static str,
        /// How many characters there may be.
        most: usize,
    },
}

impl Origin {
    pub(crate) fn check(&self) -> Result<(), RequestError> {
        for (part, text, most) in [("method", &self.method, MAX_METHOD), ("path", &self.path, MAX_PATH)] {
            let text = text.as_deref().unwrap_or("");
            if text.chars().count() > most || text.contains('\0') {
                return Err(RequestError::Origin { part, most });
            }
        }
        Ok(())
    }
}

/// Whether a body is JSON that says one thing only: no object has a member twice, and it is not nested too deeply. What a
/// service should ask of a body before it reads a request from it, since a reader takes one of two equal members.
///
/// # Errors
/// [`RequestError::Json`], [`RequestError::Duplicate`], [`RequestError::Depth`].
pub fn check_json(body: &[u8]) -> Result<(), RequestError> {
    let body: &RawValue = serde_json::from_slice(body)?;
    write_canonical(body.get(), &mut Vec::new(), 0)
}

/// HMAC-SHA-256 over everything that makes two requests the same: the workflow, where it came in, and the body,
/// independent of white space and of the order of an object's members. Numbers count by their digits: `1.0` is not
/// `1`, and `9007199254740993` is not `…992`, as it would be through a float.
pub(crate) fn digest(
    secret: &[u8],
    workflow: &str,
    origin: &Origin,
    body: &[u8],
) -> Result<[u8; 32], RequestError> {
    let body: &RawValue = serde_json::from_slice(body)?;
    let mut canonical = Vec::with_capacity(body.get().len());
    write_canonical(body.get(), &mut canonical, 0)?;
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { unreachable!("HMAC takes any length") };
    mac.update(&DIGEST_VERSION.to_be_bytes());
    for part in [workflow, origin.method.as_deref().unwrap_or(""), origin.path.as_deref().unwrap_or("")] {
        mac.update(&length(part.as_bytes()));
        mac.update(part.as_bytes());
    }
    mac.update(&canonical);
    // The JSON before it says itself where it ends.
    mac.update(&origin.fingerprint);
    Ok(mac.finalize().into_bytes().into())
}

/// What every effect key of a run is made from. It depends on nothing that a restored backup, a reaped row or a
/// restart could give to somebody else, and it can be computed again when the row was lost.
pub(crate) fn effect_seed(
    namespace: &str,
    key: &Key,
    generation: i32,
    workflow: &str,
    digest: &[u8],
) -> [u8; 32] {
    let mut hash = Sha256::new();
    let generation = generation.to_be_bytes();
    for part in [namespace.as_bytes(), key.scope().as_bytes(), key.value().as_bytes(), &generation] {
        hash.update(length(part));
        hash.update(part);
    }
    for part in [workflow.as_bytes(), digest] {
        hash.update(length(part));
        hash.update(part);
    }
    hash.finalize().into()
}

/// What a tombstone keeps of a key besides its scope: enough to know it again, and nothing to read.
pub fn key_hash(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}

/// The key that a foreign step hands to the other side: a UUID of version 8 ("custom") from the seed and the
/// step's effect name.
pub(crate) fn effect_key(seed: &[u8], effect_name: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(length(seed));
    hash.update(seed);
    hash.update(effect_name.as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn length(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_be_bytes()
}

fn write_canonical(raw: &str, out: &mut Vec<u8>, depth: usize) -> Result<(), RequestError> {
    if depth > MAX_DEPTH {
        return Err(RequestError::Depth);
    }
    let raw = raw.trim_matches([' ', '\t', '\n', '\r']);
    match raw.as_bytes().first() {
        Some(b'{') => {
            let mut members = members(raw)?;
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            if let Some(twice) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(RequestError::Duplicate(twice[0].0.clone()));
            }
            for (i, (name, value)) in members.iter().enumerate() {
                out.push(if i == 0 { b'{' } else { b',' });
                serde_json::to_writer(&mut *out, name)?;
                out.push(b':');
                write_canonical(value.get(), out, depth + 1)?;
            }
            out.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw)?;
            out.push(b'[');
            for item in items {
                write_canonical(item.get(), out, depth + 1)?;
                out.push(b',');
            }
            out.push(b']');
        }
        // An escape and the character itself are the same text.
        Some(b'"') => serde_json::to_writer(&mut *out, &serde_json::from_str::<String>(raw)?)?,
        _ => out.extend_from_slice(raw.as_bytes()),
    }
    Ok(())
}

/// The members of an object as they stand there, twins included: a map would drop one of them.
fn members(raw: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(raw).deserialize_map(Members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> [u8; 32] {
        digest(b"secret", "checkout", &Origin::default(), body.as_bytes()).unwrap()
    }

    #[test]
    fn order_white_space_and_escapes_do_not_count() {
        let a = of(r#"{"a":1,"b":{"x":[1,2],"y":"é"}}"#);
        assert_eq!(a, of(" { \"b\" : {\"y\":\"\\u00e9\", \"x\" : [ 1 ,2 ] },\n\"a\":1 } "));
    }

    #[test]
    fn every_difference_in_value_counts() {
        let bodies = [
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":null}"#,
            r#"{"b":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":[1,[]]}"#,
            r#"{"a":[[1]]}"#,
            r#"{"a":{}}"#,
            "{}",
            "[]",
            "null",
        ];
        let mut digests: Vec<_> = bodies.iter().map(|body| of(body)).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), bodies.len());
    }

    #[test]
    fn workflow_origin_and_secret_count() {
        let origin = |method: &str, path: &str| Origin {
            method: Some(method.into()),
            path: Some(path.into()),
            ..Origin::default()
        };
        let fingerprint = |bytes: &[u8]| Origin { fingerprint: bytes.into(), ..Origin::default() };
        let all = [
            digest(b"secret", "checkout", &Origin::default(), b"1").unwrap(),
            digest(b"other", "checkout", &Origin::default(), b"1").unwrap(),
            digest(b"secret", "refund", &Origin::default(), b"1").unwrap(),
            digest(b"secret", "checkout", &origin("POST", "/a"), b"1").unwrap(),
            digest(b"secret", "checkout", &origin("POST/", "a"), b"1").unwrap(),
            digest(b"secret", "checkout", &fingerprint(b"f"), b"1").unwrap(),
            digest(b"secret", "checkout", &fingerprint(b"g"), b"1").unwrap(),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
    }

    #[test]
    fn bad_bodies_are_refused_by_reason() {
        let refuse = |body: &[u8]| digest(b"", "w", &Origin::default(), body).unwrap_err();
        assert!(matches!(refuse(b"{"), RequestError::Json(_)));
        assert!(matches!(refuse(b"\xff"), RequestError::Json(_)));
        assert!(matches!(refuse(br#"{"a":1,"\u0061":2}"#), RequestError::Duplicate(name) if name == "a"));
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(refuse(deep.as_bytes()), RequestError::Depth | RequestError::Json(_)));
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check_json(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(matches!(refuse(nested(MAX_DEPTH + 1).as_bytes()), RequestError::Depth));
        assert!(
            matches!(refuse(br#"[{"a":[{"b":1,"b":1}]}]"#), RequestError::Duplicate(name) if name == "b")
        );
    }

    #[test]
    fn an_effect_key_depends_on_all_that_makes_the_call_the_same() {
        let key = |scope: &str, value: &str| Key::new(scope, value).unwrap();
        let seed = effect_seed("ns", &key("s", "k"), 0, "w", b"digest");
        let others = [
            effect_seed("n", &key("s", "k"), 0, "w", b"digest"),
            effect_seed("ns", &key("sk", "k"), 0, "w", b"digest"),
            effect_seed("ns", &key("s", "kk"), 0, "w", b"digest"),
            effect_seed("ns", &key("s", "k"), 1, "w", b"digest"),
            effect_seed("ns", &key("s", "k"), 0, "v", b"digest"),
            effect_seed("ns", &key("s", "k"), 0, "w", b"other"),
            // The same letters, cut elsewhere.
            effect_seed("n", &key("ss", "k"), 0, "w", b"digest"),
            effect_seed("ns", &key("s", "k"), 0, "wd", b"igest"),
        ];
        assert!(!others.contains(&seed));
        assert_eq!(effect_key(&seed, "charge"), effect_key(&seed, "charge"));
        assert_ne!(effect_key(&seed, "charge"), effect_key(&seed, "ship"));
        assert_eq!(effect_key(&seed, "charge").get_version_num(), 8);
    }
}
