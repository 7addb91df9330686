//! The names of the tables: a schema and a prefix of the user's choice, checked once, here.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use workflow::StoreError;

use crate::sql::Sql;

/// How the tables are named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    pub(crate) schema: Option<String>,
    prefix: String,
}

impl Names {
    /// The only place where a user's text becomes part of a statement.
    pub(crate) fn new(schema: Option<&str>, prefix: &str) -> Result<Self, StoreError> {
        for name in schema.into_iter().chain([prefix]) {
            let fits = name.len() <= 30
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                && !name.starts_with(|c: char| c.is_ascii_digit());
            if !fits || schema == Some("") {
                let source =
                    format!("{name:?} is no schema or table prefix: at most 30 of a-z, 0-9 and _").into();
                return Err(StoreError::Refused { doing: "naming the tables", source });
            }
        }
        Ok(Self { schema: schema.map(str::to_owned), prefix: prefix.to_owned() })
    }

    /// A statement with the tables' names and the clock filled in.
    pub(crate) fn render(&self, statement: &str) -> String {
        let qualified = match &self.schema {
            Some(schema) => format!("\"{schema}\".{}", self.prefix),
            None => self.prefix.clone(),
        };
        statement.replace("{prefix}", &qualified).replace("{now}", NOW)
    }

    /// A migration: it runs with its schema first in the search path, since an index is not named with its schema.
    pub(crate) fn render_migration(&self, migration: &str) -> String {
        let path = match &self.schema {
            Some(schema) => CREATE_SCHEMA.replace("{schema}", schema),
            None => String::new(),
        };
        path + &migration.replace("{prefix}", &self.prefix)
    }

    /// The statements with these names. They are rendered once for each choice of names and kept for ever, which
    /// lets sqlx treat them as the literals that they nearly are.
    pub(crate) fn statements(&self) -> &'static Sql {
        static RENDERED: LazyLock<Mutex<HashMap<Names, &'static Sql>>> = LazyLock::new(Mutex::default);
        let mut rendered = RENDERED.lock().unwrap_or_else(PoisonError::into_inner);
        rendered
            .entry(self.clone())
            .or_insert_with(|| Box::leak(Box::new(Sql::render(|text| String::leak(self.render(text))))))
    }
}

/// `IF NOT EXISTS` alone asks for the right to create schemas even where there is nothing to create.
const CREATE_SCHEMA: &str = r#"
DO $$ BEGIN
    IF to_regnamespace('"{schema}"') IS NULL THEN
        CREATE SCHEMA IF NOT EXISTS "{schema}";
    END IF;
END $$;
SET LOCAL search_path TO "{schema}";
"#;

/// The database's clock, plus the offset that tests move: `$1` of every statement that reads it. It is not `now()`,
/// which stands still from the beginning of a transaction.
const NOW: &str = "(clock_timestamp() + $1::int8 * interval '1 microsecond')";
