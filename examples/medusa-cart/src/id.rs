//! Names of rows, and moments.

use chrono::{DateTime, SecondsFormat, Utc};

/// A fresh id with a prefix, as `cart_0199…`: later ones are larger.
pub(crate) fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// This moment, in microseconds.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_micros()
}

/// A moment as clients read it.
pub(crate) fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
