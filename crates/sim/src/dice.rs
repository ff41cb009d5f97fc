//! One seed, several streams: a stream per purpose, so that one more roll here does not change everything there.

use std::sync::Arc;

use fleetwright_clock::{Clock, Ids, RandomIds};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A stream of random numbers for one purpose.
#[derive(Debug, Clone)]
pub struct Dice(Arc<RandomIds>);

impl Dice {
    /// The stream of `purpose` under `seed`.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(ids(seed, purpose))
    }

    /// A number in `[0, 1)`.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.0.jitter()
    }

    /// True with probability `chance`.
    #[must_use]
    pub fn hit(&self, chance: f64) -> bool {
        self.0.jitter() < chance
    }

    /// A whole number in `0..below`.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small positive numbers"
    )]
    pub fn below(&self, below: usize) -> usize {
        ((self.0.jitter() * below as f64) as usize).min(below.saturating_sub(1))
    }
}

/// Ids for one purpose under `seed`.
#[must_use]
pub fn ids(seed: u64, purpose: u64) -> Arc<RandomIds> {
    Arc::new(RandomIds::seeded(seed.wrapping_mul(1_000_003).wrapping_add(purpose)))
}

/// The same ids, as the trait.
#[must_use]
pub fn dyn_ids(seed: u64, purpose: u64) -> Arc<dyn Ids> {
    ids(seed, purpose)
}

/// A clock that follows tokio's paused time from a fixed start.
#[derive(Debug, Clone)]
pub struct PausedClock(Instant);

impl PausedClock {
    /// Starts now, at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(1_767_225_600).unwrap_or_default();
        let passed = SignedDuration::try_from(self.0.elapsed()).unwrap_or_default();
        start.checked_add(passed).unwrap_or(start)
    }
}
