//! workflow-postgres
