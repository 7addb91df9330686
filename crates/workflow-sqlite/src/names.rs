//! The names of the tables: a prefix of the user's choice, checked once, here.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use workflow::StoreError;

use crate::sql::Sql;

/// How the tables are named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    /// The only place where a user's text becomes part of a statement.
    pub(crate) fn new(prefix: &str) -> Result<Self, StoreError> {
        let fits = prefix.len() <= 30
            && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !prefix.starts_with(|c: char| c.is_ascii_digit());
        if !fits {
            let source =
                format!("the table prefix {prefix:?} is no name: at most 30 of a-z, 0-9 and _").into();
            return Err(StoreError::Refused { doing: "naming the tables", source });
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    /// A statement with the tables' names and the clock filled in.
    pub(crate) fn render(&self, statement: &str) -> String {
        statement.replace("{prefix}", &self.prefix).replace("{now}", NOW).replace("{row_now}", ROW_NOW)
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

/// The database's clock in microseconds since 1970, plus the offset that tests move: `$1` of every statement that
/// reads it. Within one statement it stands still.
const NOW: &str = "(CAST(unixepoch('subsec') * 1000000 AS INTEGER) + $1)";

/// The same in a trigger, which has no parameters: the offset comes with each row of the batch.
const ROW_NOW: &str = "(CAST(unixepoch('subsec') * 1000000 AS INTEGER) + NEW.clock)";

#[cfg(test)]
mod tests {
    use crate::Sqlite;

    #[tokio::test]
    async fn the_reaper_reads_what_is_over_and_looks_for_the_rest_by_index() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            Sqlite::open(&format!("sqlite://{}", dir.path().join("test.db").display())).await.unwrap();
        let all = store.sql.reap_all.split(';');
        for sql in [store.sql.reap, store.sql.buried].into_iter().chain(all) {
            let sql = sql.replace("$1", "'1'").replace("$2", "'2'");
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(store.pool()).await.unwrap();
            let lines = || plan.iter().map(|(.., line)| &**line);
            assert!(lines().any(|line| line.starts_with("SEARCH")), "{plan:?}");
            assert!(!lines().any(|line| line.contains("SCAN") && !line.contains("json_each")), "{plan:?}");
            assert!(!lines().any(|line| line.contains("ORDER BY")), "it is read in order: {plan:?}");
        }
    }

    #[tokio::test]
    async fn what_is_counted_for_the_gauges_is_read_by_the_partial_indexes() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            Sqlite::open(&format!("sqlite://{}", dir.path().join("test.db").display())).await.unwrap();
        for sql in [store.sql.census, store.sql.backlog] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.replace("$1", "0")));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explain).fetch_all(store.pool()).await.unwrap();
            let reads = plan.iter().filter(|(.., line)| line.contains("workflow_"));
            for (.., line) in reads.clone() {
                assert!(line.contains("_unfinished") || line.contains("_undelivered"), "{line}");
            }
            assert!(reads.count() > 0, "{plan:?}");
        }
    }
}
