//! Whose key it is: the example takes the bearer's word for it.

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use workflow::Key;

use crate::problem;

/// The tenant of a request: the name after `Bearer`.
#[expect(clippy::result_large_err, reason = "a refusal is a response, as everywhere in axum")]
pub(super) fn tenant(request: &Parts) -> Result<String, Response> {
    named(&request.headers).ok_or_else(|| {
        let mut refused =
            problem::response(401, "unauthorized", "Send the header Authorization: Bearer TENANT.");
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        refused
    })
}

fn named(headers: &HeaderMap) -> Option<String> {
    let (scheme, name) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let name = name.trim();
    let good = scheme.eq_ignore_ascii_case("bearer") && Key::fresh(name).is_ok();
    good.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_with_a_name_is_a_tenant() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            named(&headers)
        };
        assert_eq!(named(&HeaderMap::new()), None);
        assert_eq!(of("Bearer acme"), Some("acme".to_owned()));
        assert_eq!(of("bearer  acme "), Some("acme".to_owned()));
        for nobody in ["", "Bearer", "Bearer ", "Basic YWNtZTo=", "acme", "Bearer\tacme"] {
            assert_eq!(of(nobody), None, "{nobody:?}");
        }
        let long: &'static str = format!("Bearer {}", "x".repeat(256)).leak();
        assert_eq!(of(long), None);
    }
}
