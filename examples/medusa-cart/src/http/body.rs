//! Bodies: read as JSON whatever their content type says, and refused in Medusa's shape.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// The longest body, in bytes: that of the layer.
const LIMIT: usize = 1 << 20;

/// A body, and the key under which it came.
pub(crate) struct Asked<T> {
    pub(crate) key: Option<String>,
    pub(crate) body: T,
}

impl<T: DeserializeOwned, St: Sync> FromRequest<St> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &St) -> Result<Self, Refusal> {
        let key = key(request.headers())?;
        let bytes = axum::body::to_bytes(request.into_body(), LIMIT).await;
        let bytes = bytes.map_err(|_| Refusal::invalid_data("The body broke off, or is too large"))?;
        let bytes = if bytes.is_empty() { "{}".into() } else { bytes };
        let body = serde_json::from_slice(&bytes).map_err(|e| Refusal::invalid_data(e.to_string()))?;
        Ok(Self { key, body })
    }
}

/// The client's key, quoted or bare.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    match workflow_axum::parse(headers) {
        Ok(header) => Ok(header.map(|header| header.value)),
        Err(error) => Err(Refusal::invalid_data(error.to_string())),
    }
}

/// The answer of most routes.
pub(crate) fn cart(cart: Value) -> Json<Value> {
    Json(json!({ "cart": cart }))
}
