//! What files hold, and what tells two of them apart: their SHA-256.

use std::fmt;

use bytes::Bytes;
use fleetwright_names::sha256_hex;
use fleetwright_provider::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// SHA-256 as 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256: it must be 64 hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// Of some bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha256_hex(bytes))
    }

    /// Of what was added to a hash bit by bit.
    pub(crate) fn of_finished(hash: Sha256) -> Self {
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// As `sha256sum` writes it; upper case is accepted.
    ///
    /// # Errors
    /// When it is not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(DigestError(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file is to hold. Always treated as a secret: configurations hold tokens, passwords and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    text: Secret,
    digest: Digest,
}

impl Content {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        let digest = Digest::of(&text);
        Self { text: Secret::new(text), digest }
    }

    /// The text itself.
    #[must_use]
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// The text's digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Bytes of a binary, or of a part of it. Prints as its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(Bytes);

impl Blob {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, shared and not copied.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `most` bytes from `offset` on, shared; none when it begins behind the end.
    pub(crate) fn part(&self, offset: usize, most: usize) -> Self {
        let from = offset.min(self.0.len());
        let until = from.saturating_add(most).min(self.0.len());
        Self(self.0.slice(from..until))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of("").as_str(), empty);
        assert_eq!(Digest::of_finished(Sha256::new()), Digest::of(""));
        assert_eq!(Digest::parse(&empty.to_uppercase()), Ok(Digest::of("")));
        assert_eq!(Digest::parse("e3b0"), Err(DigestError("e3b0".into())));
        assert!(Digest::parse(&"g".repeat(64)).is_err());
    }

    #[test]
    fn parts_of_a_blob_end_with_it() {
        let blob = Blob::new("abcdef");
        assert_eq!(blob.part(0, 4), Blob::new("abcd"));
        assert_eq!(blob.part(4, 4), Blob::new("ef"));
        assert!(blob.part(6, 4).is_empty() && blob.part(99, usize::MAX).is_empty());
        assert_eq!(format!("{blob:?}"), "Blob(6 bytes)");
    }

    #[test]
    fn content_does_not_show_its_text() {
        assert!(!format!("{:?}", Content::new("token: hunter2".into())).contains("hunter2"));
    }
}
