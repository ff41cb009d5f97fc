//! The six classes of failure, and what each one means for the reconcile loop.
//!
//! Every error that a reconcile can meet has exactly one [`Class`]. The class alone decides when to look again and how
//! loud the log is; nothing looks at error text. This crate classifies nothing itself: whoever makes an error does.
//! Start reading at [`Class`].

use std::time::Duration;

/// What kind of failure this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The user must edit something; retrying before that is pointless.
    Invalid,
    /// Quota, permission or policy said no; somebody must act, so retry slowly.
    Refused,
    /// Somebody else wrote first; look again at once, silently.
    Conflict,
    /// The other side is busy, throttled or unreachable; back off.
    Transient,
    /// We cannot tell whether our call took effect; observe again before anything else.
    Unknown,
    /// We are wrong. Report it and keep serving others.
    Bug,
}

/// When to look at a failed key again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Only when the object or something it refers to changes.
    OnChange,
    /// At once.
    Now,
    /// After a delay that doubles with every attempt from `first` up to `most`; the caller adds jitter.
    Backoff {
        /// Delay after the first failure.
        first: Duration,
        /// Longest delay.
        most: Duration,
    },
}

impl Class {
    /// When to look again after a failure of this class.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::Invalid => Retry::OnChange,
            Self::Refused => {
                Retry::Backoff { first: Duration::from_secs(30), most: Duration::from_secs(600) }
            }
            Self::Conflict => Retry::Now,
            Self::Transient | Self::Unknown => {
                Retry::Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) }
            }
            Self::Bug => {
                Retry::Backoff { first: Duration::from_secs(60), most: Duration::from_secs(600) }
            }
        }
    }

    /// The name used as metric label and in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::Refused => "Refused",
            Self::Conflict => "Conflict",
            Self::Transient => "Transient",
            Self::Unknown => "Unknown",
            Self::Bug => "Bug",
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Conflict | Self::Transient | Self::Unknown)
    }

    /// Whether the user can do something about it.
    #[must_use]
    pub const fn user_actionable(self) -> bool {
        matches!(self, Self::Invalid | Self::Refused)
    }
}

/// Longest wait that another side may ask for; one that asks for more is asked again sooner.
pub const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(900);

/// The delay before attempt `attempt` (counted from 0), without jitter.
///
/// `jitter` is a number in `[0, 1)`; the result lies between 75 % and 125 % of the doubled delay.
#[must_use]
pub fn backoff(first: Duration, most: Duration, attempt: u32, jitter: f64) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(attempt.min(20))).min(most);
    doubled.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_stops_at_the_limit() {
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(backoff(first, most, 0, 0.5), Duration::from_secs(1));
        assert_eq!(backoff(first, most, 3, 0.5), Duration::from_secs(8));
        assert_eq!(backoff(first, most, 99, 0.5), Duration::from_secs(60));
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        let (first, most) = (Duration::from_secs(8), Duration::from_secs(60));
        assert_eq!(backoff(first, most, 0, 0.0), Duration::from_secs(6));
        assert!(backoff(first, most, 0, 0.999) < Duration::from_secs(10));
    }
}
