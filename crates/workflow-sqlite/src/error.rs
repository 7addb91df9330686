//! What SQLite says, by what a caller can do about it.

use sqlx::error::DatabaseError;
use workflow::StoreError;

/// SQLite's primary result codes that pass: abort, busy, locked, out of memory, interrupted, disk full, cannot open,
/// locking protocol.
const PASSING: [i32; 8] = [4, 5, 6, 7, 9, 13, 14, 15];

/// SQLite's code for an I/O error.
const IO_ERROR: i32 = 10;

/// SQLite's code for a statement that makes no sense: here, of a savepoint that is not there.
const ERROR: i32 = 1;

/// An error of a statement that commits nothing.
pub(crate) fn harmless(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| classified(doing, error, false)
}

/// An error of a COMMIT: if the disk or the connection failed, it may have happened.
pub(crate) fn committing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| classified(doing, error, true)
}

fn classified(doing: &'static str, error: sqlx::Error, commits: bool) -> StoreError {
    enum Class {
        Passing,
        Broken,
        Refused,
    }
    let class = match &error {
        sqlx::Error::Database(e) => match primary_code(&**e) {
            Some(code) if PASSING.contains(&code) => Class::Passing,
            Some(IO_ERROR) => Class::Broken,
            _ => Class::Refused,
        },
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::BeginFailed => Class::Passing,
        // Somebody gave the connection back in a transaction. It is closed; the next one is another.
        sqlx::Error::InvalidSavePointStatement => Class::Passing,
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => Class::Broken,
        _ => Class::Refused,
    };
    let source = error.into();
    match class {
        Class::Passing => StoreError::Away { doing, source },
        Class::Broken if commits => StoreError::InDoubt { doing, source },
        Class::Broken => StoreError::Away { doing, source },
        Class::Refused => StoreError::Refused { doing, source },
    }
}

/// Whether it is an answer of SQLite, after which the connection goes on.
pub(crate) fn is_answered(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(primary_code).is_some_and(|code| code != IO_ERROR)
}

/// Whether SQLite found nothing wrong but the statement: no disk, no lock.
pub(crate) fn says_no(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(primary_code) == Some(ERROR)
}

/// The low byte: the extended code's upper bytes say more than is needed here.
fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    let code: i32 = error.code()?.parse().ok()?;
    Some(code & 0xff)
}
