//! K3s's versions: `v1.34.2+k3s1`.

use std::fmt;

/// One release of K3s; ordered as they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct K3sVersion {
    major: u32,
    minor: u32,
    patch: u32,
    revision: u32,
}

/// Not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of K3s; give one like v1.34.2+k3s1, in full")]
pub struct VersionError(String);

impl K3sVersion {
    /// Reads `v1.34.2+k3s1`. Release candidates are refused: nobody upgrades from them.
    ///
    /// # Errors
    /// When it is anything else, a shorter version too.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        read(text).ok_or_else(|| VersionError(text.chars().take(60).collect()))
    }

    /// Major and minor, `(1, 34)`.
    #[must_use]
    pub fn minor(self) -> (u32, u32) {
        (self.major, self.minor)
    }
}

fn read(text: &str) -> Option<K3sVersion> {
    let (numbers, revision) = text.strip_prefix('v')?.split_once("+k3s")?;
    let mut numbers = numbers.split('.').map(number);
    let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    Some(K3sVersion { major, minor, patch, revision: number(revision)? })
}

fn number(digits: &str) -> Option<u32> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain && (digits == "0" || !digits.starts_with('0')) { digits.parse().ok() } else { None }
}

impl fmt::Display for K3sVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch, revision } = self;
        write!(f, "v{major}.{minor}.{patch}+k3s{revision}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_each_other() {
        let version = |text: &str| K3sVersion::parse(text).expect(text);
        assert!(version("v1.34.2+k3s1") < version("v1.34.2+k3s2"));
        assert!(version("v1.34.9+k3s1") < version("v1.34.10+k3s1"));
        assert_eq!(version("v1.34.2+k3s1").to_string(), "v1.34.2+k3s1");
        assert_eq!(version("v1.34.2+k3s1").minor(), (1, 34));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "1.34.2+k3s1",
            "v1.34",
            "v1.34.2",
            "v1.34.2-rc1+k3s1",
            "v1.034.2+k3s1",
            "v1.34.2.1+k3s1",
            "v1.34.2+k3s",
            "v1.34.2+rke2r1",
        ] {
            assert!(K3sVersion::parse(text).is_err(), "{text:?} should be refused");
        }
    }
}
