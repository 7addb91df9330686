//! What PostgreSQL says, by what a caller can do about it.

use sqlx::error::DatabaseError;
use workflow::StoreError;

/// SQLSTATE classes that pass: insufficient resources, operator intervention.
const PASSING_CLASSES: [&str; 2] = ["53", "57"];

/// Single codes that pass: serialization failure, deadlock, lock timeout, idle-in-transaction and transaction timeout,
/// a
/// server that is read-only because it is not the primary any more, and a prepared statement that a pooler has lost.
const PASSING: [&str; 7] = ["40001", "40P01", "55P03", "25P03", "25P04", "25006", "26000"];

/// What means that the server, or the pooler before it, has gone, or does not know: it may say so after it has
/// committed. 40003 is "statement completion unknown".
const GONE: [&str; 3] = ["08", "57P", "40003"];

/// An error of a statement that commits nothing.
pub(crate) fn harmless(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| classified(doing, error, false)
}

/// An error of a COMMIT, or of a statement that commits by itself: if the wire failed, it may have happened.
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
        sqlx::Error::Database(e) => match code(&**e) {
            code if GONE.iter().any(|gone| code.starts_with(gone)) => Class::Broken,
            code if PASSING.contains(&&*code) => Class::Passing,
            code if PASSING_CLASSES.iter().any(|class| code.starts_with(class)) => Class::Passing,
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

fn code(error: &dyn DatabaseError) -> String {
    error.code().map(|code| code.into_owned()).unwrap_or_default()
}

/// Whether it is an answer of the server, after which the connection goes on.
pub(crate) fn is_answered(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let code = code(&**error);
    !GONE.iter().any(|gone| code.starts_with(gone))
}
