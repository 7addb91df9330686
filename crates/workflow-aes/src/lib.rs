//! workflow-aes
