//! The files that we write on a host; no other is ever written.

use super::op::Role;

/// One file of ours. The order is the order of writing: what K3s reads at its start comes before the unit that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManagedFile {
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
    /// K3s's configuration; a key is a flag without its dashes.
    Config,
    /// The systemd unit.
    Unit(Role),
}

impl ManagedFile {
    /// Every file there is.
    pub const ALL: [Self; 8] = [
        Self::Sysctls,
        Self::Token,
        Self::Registries,
        Self::AuditPolicy,
        Self::Admission,
        Self::Config,
        Self::Unit(Role::Server),
        Self::Unit(Role::Agent),
    ];

    /// Where it lies. Paths of K3s's own documentation, without a data directory of one's own.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Sysctls => "/etc/sysctl.d/90-kubelet.conf",
            Self::Token => "/etc/rancher/k3s/fleetwright.token",
            Self::Registries => "/etc/rancher/k3s/registries.yaml",
            Self::AuditPolicy => "/etc/rancher/k3s/audit.yaml",
            Self::Admission => "/etc/rancher/k3s/admission.yaml",
            Self::Config => "/etc/rancher/k3s/config.yaml",
            Self::Unit(Role::Server) => "/etc/systemd/system/k3s.service",
            Self::Unit(Role::Agent) => "/etc/systemd/system/k3s-agent.service",
        }
    }

    /// Who may read it: what may hold a secret is root's.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Sysctls | Self::Unit(_) => "644",
            Self::Token | Self::Registries | Self::AuditPolicy | Self::Admission | Self::Config => {
                "600"
            }
        }
    }

    /// Whether K3s of this role reads it only when it starts, so that a change asks for a restart.
    pub(crate) fn read_at_start(self, role: Role) -> bool {
        match self {
            Self::Sysctls => false,
            Self::Unit(of) => of == role,
            Self::Token | Self::Registries | Self::AuditPolicy | Self::Admission | Self::Config => {
                true
            }
        }
    }

    /// The file at this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.path() == path)
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
                "/etc/sysctl.d/90-kubelet.conf",
                "/etc/systemd/system/k3s.service",
                "/etc/systemd/system/k3s-agent.service"
            ]
        );
    }
}
