//! The header `Idempotency-Key`: one structured string, or a bare token as most clients send it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Item, Parser};

/// The name of the header.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// What stands in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHeader {
    /// The key's value: the same for the quoted and the bare form.
    pub value: String,
    /// As it was sent: it is echoed so.
    pub sent: HeaderValue,
}

/// Why a header is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyHeaderError {
    /// Two headers: nobody can say which one counts.
    #[error("the header Idempotency-Key is given more than once")]
    Twice,
    /// Neither a structured string nor a bare token.
    #[error(
        "the header Idempotency-Key is neither a quoted string (RFC 9651) nor a bare token of visible ASCII"
    )]
    Malformed,
    /// No character.
    #[error("the header Idempotency-Key is empty")]
    Empty,
    /// Too many characters.
    #[error("the header Idempotency-Key has more than {} characters", workflow::MAX_KEY_CHARS)]
    TooLong,
}

/// Reads the header. A quoted value is an RFC 9651 string; a bare one is of visible characters without `"` and `\`. Both
/// have 1 to 255 characters, and `"k"` and `k` are the same key. `None` if there is no such header.
///
/// ```
/// use axum::http::{HeaderMap, HeaderValue};
/// let mut headers = HeaderMap::new();
/// assert!(workflow_axum::parse(&headers).unwrap().is_none());
/// headers.insert("idempotency-key", HeaderValue::from_static("\"8e03978e\""));
/// assert_eq!(workflow_axum::parse(&headers).unwrap().unwrap().value, "8e03978e");
/// ```
///
/// # Errors
/// [`KeyHeaderError`].
pub fn parse(headers: &HeaderMap) -> Result<Option<KeyHeader>, KeyHeaderError> {
    let mut sent = headers.get_all(HEADER).iter();
    let Some(first) = sent.next() else { return Ok(None) };
    if sent.next().is_some() {
        return Err(KeyHeaderError::Twice);
    }
    let value = match first.as_bytes() {
        [] => return Err(KeyHeaderError::Empty),
        quoted @ [b'"', ..] => structured(quoted)?,
        bare => token(bare)?,
    };
    match value.len() {
        0 => Err(KeyHeaderError::Empty),
        1..=workflow::MAX_KEY_CHARS => Ok(Some(KeyHeader { value, sent: first.clone() })),
        _ => Err(KeyHeaderError::TooLong),
    }
}

/// Parameters are read over, as RFC 9651 has it.
fn structured(bytes: &[u8]) -> Result<String, KeyHeaderError> {
    match Parser::new(bytes).parse::<Item>() {
        Ok(Item { bare_item: BareItem::String(value), .. }) => Ok(value.into()),
        _ => Err(KeyHeaderError::Malformed),
    }
}

fn token(bytes: &[u8]) -> Result<String, KeyHeaderError> {
    let good = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"' && *byte != b'\\';
    match bytes.iter().all(good) {
        true => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        false => Err(KeyHeaderError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&[u8]]) -> Result<Option<String>, KeyHeaderError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        Ok(parse(&headers)?.map(|key| key.value))
    }

    #[test]
    fn a_quoted_and_a_bare_key_are_the_same() {
        for same in [&b"k-1"[..], b"\"k-1\"", b" k-1 ".trim_ascii()] {
            assert_eq!(of(&[same]), Ok(Some("k-1".to_owned())));
        }
        assert_eq!(of(&[br#""a \"b\" \\c""#]), Ok(Some(r#"a "b" \c"#.to_owned())));
        assert_eq!(of(&[br#""k";v=1"#]), Ok(Some("k".to_owned())), "parameters are read over");
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        use KeyHeaderError as E;
        for malformed in [
            &b"a b"[..],
            b"a\"b",
            b"a\\b",
            b"\"open",
            b"\"a\" b",
            b"\"a\", \"b\"",
            b"k\xff",
            b"\"\xc3\xa9\"",
            b"a\tb",
            b"\"a\\n\"",
        ] {
            assert_eq!(of(&[malformed]), Err(E::Malformed), "{malformed:?}");
        }
        assert_eq!(of(&[b"a", b"b"]), Err(E::Twice));
        assert_eq!(of(&[b"a", b"a"]), Err(E::Twice));
        assert_eq!((of(&[b""]), of(&[b"\"\""])), (Err(E::Empty), Err(E::Empty)));
    }

    #[test]
    fn a_key_has_255_characters_at_the_most() {
        let (long, longer) = ("k".repeat(255), "k".repeat(256));
        for (text, good) in [(&long, true), (&longer, false)] {
            let quoted = format!("\"{text}\"");
            let expected = if good { Ok(Some(text.clone())) } else { Err(KeyHeaderError::TooLong) };
            assert_eq!(of(&[text.as_bytes()]), expected);
            assert_eq!(of(&[quoted.as_bytes()]), expected);
        }
    }
}
