//! Names that deeds carry to a host: of nodes.

use std::fmt;

/// The name of a node in the cluster: a DNS subdomain (RFC 1123), at most 253 lower-case letters, digits, dashes and dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName(String);

/// Not such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no node: it must be at most 253 lower-case letters, digits, dashes and dots, and begin and end with a letter or digit"
)]
pub struct NodeNameError(String);

impl NodeName {
    /// # Errors
    /// When it is no such name.
    pub fn new(name: impl Into<String>) -> Result<Self, NodeNameError> {
        let name = name.into();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let label = |label: &str| {
            let bytes = label.as_bytes();
            let ends = bytes.first().is_some_and(|&byte| plain(byte))
                && bytes.last().is_some_and(|&byte| plain(byte));
            ends && bytes.iter().all(|&byte| plain(byte) || byte == b'-')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(NodeNameError(name.chars().take(300).collect()));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_are_those_of_kubernetes() {
        for good in ["s1", "store-17.example", "0", &"a".repeat(253)] {
            assert!(NodeName::new(good).is_ok(), "{good:?} should be a name");
        }
        for bad in ["", "-a", "a-", "S1", "a b", "a..b", "a/b", "--all", &"a".repeat(254)] {
            assert!(NodeName::new(bad).is_err(), "{bad:?} should be refused");
        }
    }
}
