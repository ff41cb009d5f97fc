//! The two sources of surprise, as seams: what time it is, and what nobody can guess.
//!
//! Real code asks [`SystemClock`] and [`RandomIds`]; the simulator gives paused time and one seed. Nothing here sleeps:
//! sleeping is `tokio::time` and nothing else.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// What time it is.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current instant, in UTC.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that may ask the machine")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Everything that must not be guessed or repeated.
pub trait Ids: Send + Sync + std::fmt::Debug {
    /// A version 4 UUID in its 36-character form.
    fn uid(&self) -> String;
    /// A secret token: 256 bits, 64 hexadecimal digits.
    fn token(&self) -> String;
    /// Five characters for `generateName`, from the alphabet of Kubernetes (no vowels, no look-alikes).
    fn suffix(&self) -> String;
    /// A number in `[0, 1)` for spreading delays.
    fn jitter(&self) -> f64;
}

/// Ids from a cryptographic generator: seeded by the system in production, by one number in simulation.
#[derive(Debug)]
pub struct RandomIds(Mutex<ChaCha12Rng>);

/// The operating system refused to give random bytes.
#[derive(Debug)]
pub struct NoEntropy(String);

impl std::fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the operating system gave no random bytes: {}", self.0)
    }
}

impl std::error::Error for NoEntropy {}

/// `k8s.io/apimachinery/pkg/util/rand`: consonants and digits that cannot be misread.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl RandomIds {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// When the operating system gives no entropy; without it no id would be safe, so nothing may start.
    pub fn system() -> Result<Self, NoEntropy> {
        ChaCha12Rng::try_from_rng(&mut rand::rngs::SysRng)
            .map(|rng| Self(Mutex::new(rng)))
            .map_err(|source| NoEntropy(source.to_string()))
    }

    /// The same ids for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(ChaCha12Rng::seed_from_u64(seed)))
    }

    fn with<T>(&self, f: impl FnOnce(&mut ChaCha12Rng) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ids for RandomIds {
    fn uid(&self) -> String {
        let mut bytes = [0_u8; 16];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = hex(&bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    fn token(&self) -> String {
        let mut bytes = [0_u8; 32];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        hex(&bytes)
    }

    fn suffix(&self) -> String {
        self.with(|rng| {
            (0..5)
                .map(|_| char::from(SUFFIX_ALPHABET[rng.random_range(0..SUFFIX_ALPHABET.len())]))
                .collect()
        })
    }

    fn jitter(&self) -> f64 {
        self.with(|rng| rng.random::<f64>())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (a, b) = (RandomIds::seeded(7), RandomIds::seeded(7));
        assert_eq!((a.uid(), a.suffix(), a.token()), (b.uid(), b.suffix(), b.token()));
        assert_ne!(RandomIds::seeded(8).uid(), RandomIds::seeded(7).uid());
    }

    #[test]
    fn a_uid_is_a_version_4_uuid() {
        let uid = RandomIds::seeded(1).uid();
        assert_eq!(uid.len(), 36);
        assert_eq!(&uid[14..15], "4");
        assert!("89ab".contains(&uid[19..20]));
    }

    #[test]
    fn two_system_generators_differ() {
        let (a, b) = (RandomIds::system().expect("entropy"), RandomIds::system().expect("entropy"));
        assert_ne!(a.token(), b.token());
    }
}
