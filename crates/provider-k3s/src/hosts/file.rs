//! The files that we write on a host; no other is ever written.

use serde::{Deserialize, Serialize};

use super::op::Role;

/// One file of ours. The order is the order of writing: what K3s reads at its start comes before the unit that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ManagedFile {
    /// Says that the binary on this host is not ours, so that it stays when K3s goes.
    KeepBinary,
    /// Kernel settings that `protect-kernel-defaults` asks for (CIS profile).
    Sysctls,
    /// The cluster's token; `token-file` of the configuration names it.
    Token,
    /// Mirrors and passwords of image registries.
    Registries,
    /// The API server's audit policy.
    AuditPolicy,
    /// Admission configuration: pod security and event rate limits.
    Admission,
    /// Where etcd's snapshots go besides the disk, with its keys: a drop-in of the configuration.
    SnapshotStore,
    /// Where an external datastore is, with its password: a drop-in of the configuration.
    Datastore,
    /// K3s's configuration; a key is a flag without its dashes.
    Config,
    /// What K3s applies to the cluster by itself: our account in it.
    Manifest,
    /// The systemd unit.
    Unit(Role),
    /// What notes at each start what K3s reads, beside a unit that is K3s's own.
    UnitNote(Role),
}

impl ManagedFile {
    /// Every file there is.
    pub const ALL: [Self; 14] = [
        Self::KeepBinary,
        Self::Sysctls,
        Self::Token,
        Self::Registries,
        Self::AuditPolicy,
        Self::Admission,
        Self::SnapshotStore,
        Self::Datastore,
        Self::Config,
        Self::Manifest,
        Self::Unit(Role::Server),
        Self::Unit(Role::Agent),
        Self::UnitNote(Role::Server),
        Self::UnitNote(Role::Agent),
    ];

    /// Where it lies. Paths of K3s's own documentation, without a data directory of one's own.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::KeepBinary => "/etc/fleetwright/keep-binary",
            Self::Sysctls => "/etc/sysctl.d/90-kubelet.conf",
            Self::Token => "/etc/rancher/k3s/token",
            Self::Registries => "/etc/rancher/k3s/registries.yaml",
            Self::AuditPolicy => "/etc/rancher/k3s/audit.yaml",
            Self::Admission => "/etc/rancher/k3s/admission.yaml",
            Self::SnapshotStore => "/etc/rancher/k3s/config.yaml.d/50-fleetwright-s3.yaml",
            Self::Datastore => "/etc/rancher/k3s/config.yaml.d/50-fleetwright-datastore.yaml",
            Self::Config => "/etc/rancher/k3s/config.yaml",
            Self::Manifest => "/var/lib/rancher/k3s/server/manifests/fleetwright.yaml",
            Self::Unit(Role::Server) => "/etc/systemd/system/k3s.service",
            Self::Unit(Role::Agent) => "/etc/systemd/system/k3s-agent.service",
            Self::UnitNote(Role::Server) => "/etc/systemd/system/k3s.service.d/50-fleetwright.conf",
            Self::UnitNote(Role::Agent) => {
                "/etc/systemd/system/k3s-agent.service.d/50-fleetwright.conf"
            }
        }
    }

    /// Who may read it: what may hold a secret is root's.
    #[must_use]
    pub fn mode(self) -> &'static str {
        match self {
            Self::KeepBinary | Self::Sysctls | Self::Unit(_) | Self::UnitNote(_) => "644",
            Self::Token
            | Self::Registries
            | Self::AuditPolicy
            | Self::Admission
            | Self::SnapshotStore
            | Self::Datastore
            | Self::Config
            | Self::Manifest => "600",
        }
    }

    /// Whether K3s of this role reads it only when it starts, so that a change asks for a restart.
    #[must_use]
    pub fn read_at_start(self, role: Role) -> bool {
        match self {
            // The last is read again whenever it changes.
            Self::KeepBinary | Self::Sysctls | Self::Manifest => false,
            Self::Unit(of) | Self::UnitNote(of) => of == role,
            Self::Token
            | Self::Registries
            | Self::AuditPolicy
            | Self::Admission
            | Self::SnapshotStore
            | Self::Datastore
            | Self::Config => true,
        }
    }

    /// The file at this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.path() == path)
    }
}

impl TryFrom<String> for ManagedFile {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        Self::at(&path).ok_or_else(|| format!("{path:?} is no file of ours"))
    }
}

impl From<ManagedFile> for String {
    fn from(file: ManagedFile) -> Self {
        file.path().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_back_to_its_file() {
        for file in ManagedFile::ALL {
            assert_eq!(ManagedFile::at(file.path()), Some(file));
        }
        assert_eq!(ManagedFile::at("/etc/passwd"), None);
        assert!(ManagedFile::try_from("/etc/passwd".to_owned()).is_err());
    }

    #[test]
    fn only_what_holds_no_secret_may_be_read_by_all() {
        let open: Vec<&str> = ManagedFile::ALL
            .into_iter()
            .filter(|file| file.mode() == "644")
            .map(ManagedFile::path)
            .collect();
        assert_eq!(
            open,
            [
                "/etc/fleetwright/keep-binary",
                "/etc/sysctl.d/90-kubelet.conf",
                "/etc/systemd/system/k3s.service",
                "/etc/systemd/system/k3s-agent.service",
                "/etc/systemd/system/k3s.service.d/50-fleetwright.conf",
                "/etc/systemd/system/k3s-agent.service.d/50-fleetwright.conf",
            ]
        );
    }

    #[test]
    fn they_are_written_in_the_order_of_their_list() {
        assert!(ManagedFile::ALL.is_sorted());
    }
}
