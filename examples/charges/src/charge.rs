//! A charge, as stripe's clients read it.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

/// A charge. Everything but what stands in its row is the same for all of them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Charge {
    id: String,
    object: &'static str,
    amount: i64,
    captured: bool,
    created: i64,
    currency: String,
    description: Option<String>,
    livemode: bool,
    metadata: BTreeMap<String, String>,
    paid: bool,
    source: Source,
    status: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Source {
    id: String,
    object: &'static str,
}

impl FromRow<'_, SqliteRow> for Charge {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            object: "charge",
            amount: row.try_get("amount")?,
            captured: true,
            created: row.try_get("created")?,
            currency: row.try_get("currency")?,
            description: row.try_get("description")?,
            livemode: false,
            metadata: row.try_get::<Json<_>, _>("metadata")?.0,
            paid: true,
            source: Source { id: row.try_get("source")?, object: "card" },
            status: "succeeded",
        })
    }
}
