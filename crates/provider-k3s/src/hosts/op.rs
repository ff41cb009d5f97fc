//! Everything that we ever do on a host. A deed that is not in this list does not exist.

use std::fmt;

use super::digest::{Blob, Content, Digest};
use super::file::ManagedFile;
use super::marker::{Marker, MarkerChange};

/// What K3s is on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Control plane, and node.
    Server,
    /// Node only.
    Agent,
}

impl Role {
    /// K3s's own word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }

    /// The name of its systemd service, without `.service`.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Server => "k3s",
            Self::Agent => "k3s-agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is asked of the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start at each boot.
    Enable,
    /// Start now.
    Start,
    /// Stop and start, with a new reading of everything.
    Restart,
    /// Stop now; containers go on.
    Stop,
}

impl Action {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

/// The name of an etcd snapshot: 1 to 63 lower-case letters, digits and inner dashes. K3s adds node and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotName(String);

/// Not such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no snapshot: it must be 1 to 63 lower-case letters, digits and inner dashes")]
pub struct SnapshotNameError(String);

impl SnapshotName {
    /// # Errors
    /// When it is no such name.
    pub fn new(name: impl Into<String>) -> Result<Self, SnapshotNameError> {
        let name = name.into();
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let dashed = name.starts_with('-') || name.ends_with('-');
        if name.is_empty() || name.len() > 63 || dashed || !name.bytes().all(known) {
            return Err(SnapshotNameError(name));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One deed on one host. Each may be repeated at any time, and each but [`HostOp::ReadFacts`] is refused by the host itself when
/// its marker does not name us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostOp {
    /// Look at everything; changes nothing.
    ReadFacts,
    /// Say whose the host is.
    ChangeMarker(MarkerChange),
    /// Add to a binary that is on its way. What lies beyond `offset` is replaced.
    PutBinaryPart {
        /// Of the whole binary.
        digest: Digest,
        /// Where this part begins, in bytes.
        offset: u64,
        /// This part.
        bytes: Blob,
    },
    /// Put the binary in place when all of it has arrived.
    PlaceBinary {
        /// Of the whole binary.
        digest: Digest,
    },
    /// Write one file, whole or not at all.
    WriteFile {
        /// Which.
        file: ManagedFile,
        /// What it is to hold.
        content: Content,
    },
    /// Take one file of ours away.
    RemoveFile {
        /// Which.
        file: ManagedFile,
    },
    /// Let the kernel use the file [`ManagedFile::Sysctls`] now.
    ApplySysctls,
    /// Ask the service manager. Does not wait for K3s.
    Service {
        /// Whose service.
        role: Role,
        /// For what.
        action: Action,
    },
    /// Read the token that others join with, in full.
    ReadToken,
    /// Read the administrator's kubeconfig.
    ReadKubeconfig,
    /// Save embedded etcd, once under a name.
    SaveSnapshot {
        /// The name.
        name: SnapshotName,
    },
    /// Take K3s and all its data away, the marker last.
    Uninstall,
}

impl fmt::Display for HostOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadFacts => f.write_str("look at the host"),
            Self::ChangeMarker(MarkerChange { now, .. }) => match now {
                Marker::Owned(owner) => write!(f, "mark the host as that of {}", owner.object),
                Marker::Released(_) => f.write_str("let the host go"),
                Marker::Unreadable(_) => f.write_str("mark the host"),
            },
            Self::PutBinaryPart { offset, bytes, .. } => {
                write!(f, "send bytes {offset} to {} of k3s", offset + bytes.len() as u64)
            }
            Self::PlaceBinary { .. } => f.write_str("put k3s in place"),
            Self::WriteFile { file, .. } => write!(f, "write {}", file.path()),
            Self::RemoveFile { file } => write!(f, "remove {}", file.path()),
            Self::ApplySysctls => f.write_str("apply kernel settings"),
            Self::Service { role, action } => {
                write!(f, "{} {}.service", action.word(), role.service())
            }
            Self::ReadToken => f.write_str("read the join token"),
            Self::ReadKubeconfig => f.write_str("read the kubeconfig"),
            Self::SaveSnapshot { name } => write!(f, "save snapshot {}", name.as_str()),
            Self::Uninstall => f.write_str("uninstall k3s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_snapshots_are_plain() {
        assert!(SnapshotName::new("before-v1-35").is_ok());
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "$(reboot)", &"a".repeat(64)] {
            assert!(SnapshotName::new(bad).is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn deeds_read_as_deeds() {
        let part =
            HostOp::PutBinaryPart { digest: Digest::of(""), offset: 4, bytes: Blob::new("abc") };
        assert_eq!(part.to_string(), "send bytes 4 to 7 of k3s");
        let restart = HostOp::Service { role: Role::Agent, action: Action::Restart };
        assert_eq!(restart.to_string(), "restart k3s-agent.service");
    }
}
