//! workflow-testkit
