//! Times of single operations, and what is told of them: percentiles from samples, never from averages.

use std::time::Duration;

/// Times, in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The sample that `share` of all samples do not exceed, in milliseconds; 0 of none.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list that is far shorter than 2^52"
        )]
        let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut samples = Samples::default();
        assert!(samples.percentile(0.5) < f64::EPSILON);
        for milliseconds in [5, 1, 4, 2, 3] {
            samples.add(Duration::from_millis(milliseconds));
        }
        for (share, expected) in [(0.0, 1.0), (0.5, 3.0), (0.8, 4.0), (0.99, 5.0), (1.0, 5.0)] {
            let got = samples.percentile(share);
            assert!((got - expected).abs() < 1e-9, "p{share}: {got}");
        }
    }
}
