//! What a cloud answered when it did not do what we asked.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleetwright_errclass::{Class, RETRY_AFTER_LIMIT};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

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
    /// For how long the cloud asked not to be asked again, see [`retry_after`].
    pub retry_after: Option<Duration>,
}

impl CloudError {
    /// An error without a request id, for which the cloud asked no wait.
    #[must_use]
    pub fn new(
        class: Class,
        code: &'static str,
        operation: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (operation, message) = (operation.into(), message.into());
        Self { class, code, operation, message, request_id: None, retry_after: None }
    }
}

/// The wait that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds or a date), at most
/// [`RETRY_AFTER_LIMIT`]. `None` for what is neither.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let asked = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_no_number) => {
            let at = rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(at.duration_since(now)).unwrap_or_default()
        }
    };
    Some(asked.min(RETRY_AFTER_LIMIT))
}

/// The longest wait that a cloud asked for during one look: what [`fleetwright_plan::Snapshot::retry_after`] tells.
#[derive(Debug, Default)]
pub struct Patience(Mutex<Option<Duration>>);

impl Patience {
    /// Takes note of what one failed read asked for.
    pub fn note(&self, error: &CloudError) {
        let mut longest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = (*longest).max(error.retry_after);
    }

    /// The longest so far.
    pub fn asked(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date_and_has_a_limit() {
        let now = "2026-11-23T00:30:00Z".parse().expect("an instant");
        let read = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(read("7"), Some(7));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("86400"), Some(900));
        assert_eq!(read("Mon, 23 Nov 2026 00:31:30 GMT"), Some(90));
        assert_eq!(read("Mon, 23 Nov 2026 00:29:00 GMT"), Some(0), "a past date asks for nothing");
        assert_eq!((read("soon"), read("-1"), read("")), (None, None, None));
    }
}
