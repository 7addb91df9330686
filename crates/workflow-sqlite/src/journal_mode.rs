//! What an SQLite file needs so that a commit survives a power cut: checked at start, never assumed.

use sqlx::{Row, SqliteConnection};
use workflow::StoreError;

use crate::error::harmless;

/// The first version without the WAL-reset corruption (3.7.0 to 3.51.2).
const OLDEST: [u32; 3] = [3, 51, 3];

/// Refuses a connection that could lose or damage what it has acknowledged.
pub(crate) async fn check(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT sqlite_version(), (SELECT journal_mode FROM pragma_journal_mode), \
         (SELECT synchronous FROM pragma_synchronous)",
    );
    let row = row.fetch_one(conn).await.map_err(harmless("reading the settings"))?;
    let version: String = row.get(0);
    let journal_mode: String = row.get(1);
    let synchronous: i64 = row.get(2);
    if parsed(&version) < OLDEST {
        return refused(format!("SQLite {version} can damage a WAL file: 3.51.3 or newer is needed"));
    }
    if !journal_mode.eq_ignore_ascii_case("wal") {
        return refused(format!(
            "journal_mode is {journal_mode}, WAL is needed: set it on the pool's options"
        ));
    }
    // 2 is FULL, 3 EXTRA.
    if synchronous < 2 {
        return refused(format!(
            "synchronous is {synchronous}, FULL (2) is needed: set it on the pool's options"
        ));
    }
    Ok(())
}

fn refused(why: String) -> Result<(), StoreError> {
    Err(StoreError::Refused { doing: "checking the database", source: why.into() })
}

fn parsed(version: &str) -> [u32; 3] {
    let mut numbers = [0; 3];
    for (number, text) in numbers.iter_mut().zip(version.split('.')) {
        *number = text.parse().unwrap_or(0);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parsed("3.51.3") >= OLDEST && parsed("3.100.0") > OLDEST && parsed("4.0") > OLDEST);
        assert!(parsed("3.51.2") < OLDEST && parsed("3.9.99") < OLDEST && parsed("nonsense") < OLDEST);
    }
}
