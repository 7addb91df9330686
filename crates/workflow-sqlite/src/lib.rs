//! The SQLite store of `workflow`.
