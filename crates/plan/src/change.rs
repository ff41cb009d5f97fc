//! A difference between what is declared and what was seen, as a provider states it.

use serde_json::Value;

use crate::Resource;

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What differs.
    pub resource: Resource,
    /// How it can be made right.
    pub kind: ChangeKind,
}

/// How a difference can be made right.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind {
    /// It is missing.
    Create {
        /// The cloud's request.
        body: Value,
    },
    /// It is ours and no longer declared.
    Delete,
    /// It cannot be made right by us.
    Refused {
        /// Path of the field in the object, for example `spec.version`.
        field: String,
        /// What is declared.
        declared: String,
        /// What was found.
        found: String,
        /// Why not.
        why: String,
    },
}
