//! The body: read up to the limit, and checked before the key is touched.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
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
        Category::Data => Problem::new(Kind::Validation, format!("The body does not fit: {error}.")),
        _ => Problem::new(Kind::Body, format!("The body is not JSON: {error}.")),
    })
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
