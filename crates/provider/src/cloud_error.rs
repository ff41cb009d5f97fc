//! What a cloud answered when it did not do what we asked.

use fleetwright_errclass::Class;

/// A failed call to a cloud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct CloudError {
    /// What decides the next move.
    pub class: Class,
    /// One PascalCase word for status and events, for example `Throttled`, `Unauthorized`, `QuotaExceeded`, `Unreachable`.
    pub code: &'static str,
    /// The call, for example `eks:CreateCluster`.
    pub operation: String,
    /// The cloud's words, and what to do next. Never a credential.
    pub message: String,
    /// The cloud's id of the request, if it answered.
    pub request_id: Option<String>,
}
