//! Everything that we ever do on a host. A deed that is not in this list does not exist.

mod name;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::name::{NodeName, NodeNameError};
use super::artifact::Artifact;
use super::digest::{Blob, Content, Digest};
use super::file::ManagedFile;
use super::marker::{Marker, MarkerChange};
use super::version::K3sVersion;

/// What K3s is on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// What becomes of pods that a drain cannot move: those that a budget protects, and those that no controller would make again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stubborn {
    /// They stay, and the node is not empty.
    Kept,
    /// They are deleted, budgets or not.
    Deleted,
}

/// One deed on one host. Each may be repeated at any time, and each but [`HostOp::ReadFacts`] is refused by the host itself when
/// its marker does not name us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostOp {
    /// Look at everything; changes nothing.
    ReadFacts,
    /// Say whose the host is.
    ChangeMarker(MarkerChange),
    /// Add to a file that is on its way. What lies beyond `offset` is replaced.
    PutPart {
        /// Which file.
        artifact: Artifact,
        /// Of the whole file.
        digest: Digest,
        /// Where this part begins, in bytes.
        offset: u64,
        /// This part.
        bytes: Blob,
        /// How long the whole file is, in bytes.
        whole: u64,
    },
    /// Put a file in place when all of it has arrived.
    Place {
        /// Which file.
        artifact: Artifact,
        /// Of the whole file.
        digest: Digest,
    },
    /// Run K3s's own install script, which fetches the binary itself; it neither enables nor starts anything.
    RunInstallScript {
        /// Server or agent.
        role: Role,
        /// Which version.
        version: K3sVersion,
        /// The script, fetched by us.
        script: Content,
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
    /// Take K3s and all its data away, the marker last.
    Uninstall,
    /// On a server: look at the cluster, its nodes and its members. Changes nothing.
    ReadCluster,
    /// On a server: let no more pods onto a node, and note why, so that only we let them back.
    Cordon {
        /// Which node.
        node: NodeName,
        /// Why, for the annotation that [`HostOp::Uncordon`] asks for.
        what: String,
    },
    /// On a server: let pods onto a node again, if it was us who kept them off.
    Uncordon {
        /// Which node.
        node: NodeName,
    },
    /// On a server: move the pods of a node elsewhere. Waits, and tells what is left.
    Drain {
        /// Which node.
        node: NodeName,
        /// How long this one deed may wait for pods to go, in whole seconds.
        wait: Duration,
        /// What becomes of pods that cannot be moved.
        stubborn: Stubborn,
    },
    /// On a server: remove a node from the cluster; K3s then removes its member of etcd and its password.
    DeleteNode {
        /// Which node.
        node: NodeName,
    },
    /// On a server: make a token of our own account in the cluster.
    MintToken {
        /// How long it is to be good for, in whole seconds.
        valid: Duration,
    },
}

impl HostOp {
    /// The deed in one word, as the first line of its script names it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::ReadFacts => "read-facts",
            Self::ChangeMarker(_) => "change-marker",
            Self::PutPart { .. } => "put-part",
            Self::Place { .. } => "place",
            Self::RunInstallScript { .. } => "run-install-script",
            Self::WriteFile { .. } => "write-file",
            Self::RemoveFile { .. } => "remove-file",
            Self::ApplySysctls => "apply-sysctls",
            Self::Service { .. } => "service",
            Self::ReadToken => "read-token",
            Self::Uninstall => "uninstall",
            Self::ReadCluster => "read-cluster",
            Self::Cordon { .. } => "cordon",
            Self::Uncordon { .. } => "uncordon",
            Self::Drain { .. } => "drain",
            Self::DeleteNode { .. } => "delete-node",
            Self::MintToken { .. } => "mint-token",
        }
    }
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
            Self::PutPart { artifact, offset, bytes, .. } => {
                write!(f, "send bytes {offset} to {} of {artifact}", offset + bytes.len() as u64)
            }
            Self::Place { artifact, .. } => write!(f, "put {artifact} in place"),
            Self::RunInstallScript { role, version, .. } => {
                write!(f, "run K3s's install script for a {role} of {version}")
            }
            Self::WriteFile { file, .. } => write!(f, "write {}", file.path()),
            Self::RemoveFile { file } => write!(f, "remove {}", file.path()),
            Self::ApplySysctls => f.write_str("apply kernel settings"),
            Self::Service { role, action } => {
                write!(f, "{} {}.service", action.word(), role.service())
            }
            Self::ReadToken => f.write_str("read the join token"),
            Self::Uninstall => f.write_str("uninstall k3s"),
            Self::ReadCluster => f.write_str("look at the cluster"),
            Self::Cordon { node, .. } => write!(f, "cordon node {node}"),
            Self::Uncordon { node } => write!(f, "uncordon node {node}"),
            Self::Drain { node, .. } => write!(f, "drain node {node}"),
            Self::DeleteNode { node } => write!(f, "delete node {node}"),
            Self::MintToken { .. } => f.write_str("make a token of our account"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_read_as_deeds() {
        let part = HostOp::PutPart {
            artifact: Artifact::Binary,
            digest: Digest::of(""),
            offset: 4,
            bytes: Blob::new("abc"),
            whole: 9,
        };
        assert_eq!(part.to_string(), "send bytes 4 to 7 of k3s");
        let restart = HostOp::Service { role: Role::Agent, action: Action::Restart };
        assert_eq!(restart.to_string(), "restart k3s-agent.service");
        let node = NodeName::new("till-1").expect("name");
        assert_eq!(HostOp::Uncordon { node }.to_string(), "uncordon node till-1");
    }
}
