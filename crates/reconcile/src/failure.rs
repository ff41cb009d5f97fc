//! Why a reconcile stopped, in one shape for every source.

use std::time::Duration;

use fleetwright_errclass::Class;

/// A failed read or write. Secrets never get in here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What decides the next move.
    pub class: Class,
    /// One PascalCase word for conditions and events.
    pub code: String,
    /// What failed, for which input, and what to do next.
    pub message: String,
    /// The other side's id of the request, if it gave one.
    pub request_id: Option<String>,
    /// For how long the other side asked not to be asked again. The loop waits so long, though an edit comes in between, but
    /// never longer than [`fleetwright_errclass::RETRY_AFTER_LIMIT`].
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure without a request id.
    #[must_use]
    pub fn new(class: Class, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            request_id: None,
            retry_after: None,
        }
    }

    /// A failed call to a Kubernetes API; `deed` says which, for example `patch the status of managedcluster a/b`.
    #[must_use]
    pub fn kube(deed: &str, error: &kube::Error) -> Self {
        let (class, code) = match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => (Class::Refused, "Unauthorized"),
                404 => (Class::Conflict, "NotFound"),
                409 => (Class::Conflict, "Conflict"),
                400 | 413 | 422 => (Class::Bug, "Rejected"),
                410 | 429 => (Class::Transient, "Throttled"),
                _ => (Class::Transient, "ApiError"),
            },
            kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => (Class::Bug, "BadRequest"),
            _ => (Class::Unknown, "NoAnswer"),
        };
        Self::new(class, code, format!("cannot {deed}: {error}"))
    }
}
