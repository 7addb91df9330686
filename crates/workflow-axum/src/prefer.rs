//! The header `Prefer` (RFC 7240): `wait=N` and `respond-async`.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a client would like. What cannot be read is no preference: a preference may be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Prefer {
    /// How long it waits for the run that has the key.
    pub(crate) wait: Option<Duration>,
    /// Whether it rather hears of the end elsewhere.
    pub(crate) respond_async: bool,
}

impl Prefer {
    /// Of several, the first counts.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
        for preference in lines.flat_map(|line| line.split(',')) {
            let preference = preference.split(';').next().unwrap_or_default().trim();
            match preference.split_once('=') {
                None if preference.eq_ignore_ascii_case("respond-async") => prefer.respond_async = true,
                Some((name, value)) if name.trim().eq_ignore_ascii_case("wait") => {
                    let seconds = value.trim().trim_matches('"').parse().ok();
                    prefer.wait = prefer.wait.or(seconds.map(Duration::from_secs));
                }
                _ => {}
            }
        }
        prefer
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(lines: &[&'static str]) -> Prefer {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(PREFER, HeaderValue::from_static(line));
        }
        Prefer::of(&headers)
    }

    #[test]
    fn preferences_are_read_from_all_lines_and_what_is_none_is_read_over() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(of(&[]), Prefer::default());
        assert_eq!(of(&["wait=5"]), Prefer { wait: wait(5), respond_async: false });
        assert_eq!(of(&["respond-async, WAIT = \"7\"; foo"]), Prefer { wait: wait(7), respond_async: true });
        assert_eq!(
            of(&["handling=lenient", "wait=1", "wait=9"]),
            Prefer { wait: wait(1), respond_async: false }
        );
        for none in ["wait", "wait=", "wait=-1", "wait=soon", "respond-async=1", "wait=99999999999999999999"]
        {
            assert_eq!(of(&[none]), Prefer::default(), "{none}");
        }
    }
}
