//! The body: read up to the limit, and checked before the key is touched.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::{RawValue, to_raw_value};
use workflow::RequestError;

use crate::problem::{Kind, Problem};

/// All bytes of a body, unless there are more than `limit`: no more of it is read then.
pub(crate) async fn read(parts: &Parts, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("The body has more than {limit} bytes."));
    let announced =
        parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::new(Kind::Body, "The body broke off.")),
    }
}

/// The request in a JSON body. What is no JSON, or nobody can say what it is, is a `400`; what is not this request, a `422`.
pub(crate) fn json<In: DeserializeOwned>(parts: &Parts, body: &[u8]) -> Result<In, Problem> {
    if !is_json(parts) {
        return Err(Problem::new(Kind::ContentType, "Send the body with Content-Type: application/json."));
    }
    workflow::check_json(body).map_err(unreadable)?;
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => misfit(error),
        _ => Problem::new(Kind::Body, format!("The body is not JSON: {error}.")),
    })
}

/// The same, with the path's parameters as members of the body, which is an object or nothing at all. The body may not
/// have one of them itself: nobody could say which of the two counts.
pub(crate) fn json_with<In: DeserializeOwned>(
    parts: &Parts,
    body: &[u8],
    path: &[(String, String)],
) -> Result<In, Problem> {
    let mut members: BTreeMap<String, Box<RawValue>> = match body {
        [] => BTreeMap::new(),
        body => json(parts, body)?,
    };
    for (name, value) in path {
        let value = to_raw_value(value).map_err(|error| unreadable(error.into()))?;
        if members.insert(name.clone(), value).is_some() {
            let detail = format!("The member {name} stands in the path, and must not stand in the body too.");
            return Err(Problem::new(Kind::Validation, detail));
        }
    }
    let whole = serde_json::to_vec(&members).map_err(|error| unreadable(error.into()))?;
    serde_json::from_slice(&whole).map_err(misfit)
}

fn misfit(error: serde_json::Error) -> Problem {
    Problem::new(Kind::Validation, format!("The body does not fit: {error}."))
}

fn unreadable(error: RequestError) -> Problem {
    match error {
        RequestError::Json(error) => Problem::new(Kind::Body, format!("The body is not JSON: {error}.")),
        error => Problem::new(Kind::Body, format!("The body cannot be read: {error}.")),
    }
}

fn is_json(parts: &Parts) -> bool {
    let Some(content_type) = parts.headers.get(CONTENT_TYPE) else { return false };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json"))
}
