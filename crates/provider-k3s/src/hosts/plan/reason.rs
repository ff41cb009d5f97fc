//! Why nothing is done on a host, and what a person can do.

use fleetwright_names::Owner;

use super::super::marker::Marker;
use super::super::version::K3sVersion;

/// One reason to leave a host alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not root.
    #[error("the user of this host is not root and cannot become it")]
    NotRoot,
    /// K3s is not built for it.
    #[error("K3s is not built for {machine}; use amd64, arm64 or ARMv7")]
    Machine {
        /// The kernel's word.
        machine: String,
    },
    /// Built for another machine.
    #[error("the binary is for {binary}, the host is {host}; give the release for {host}")]
    OtherMachine {
        /// What the binary is for.
        binary: String,
        /// What the host is.
        host: String,
    },
    /// Not what its publisher says it is.
    #[error("the file's digest is {got}, its publisher says {expected}; fetch it again")]
    Digest {
        /// Of what we hold.
        got: String,
        /// As published.
        expected: String,
    },
    /// No systemd.
    #[error("its service manager is {init}; only systemd is supported")]
    Init {
        /// What it has.
        init: String,
    },
    /// A program is missing.
    #[error("it lacks {missing}; install it")]
    Tools {
        /// Which.
        missing: String,
    },
    /// Wrong time.
    #[error("its clock is {skew_s} s off; let it synchronise its time")]
    Clock {
        /// How far.
        skew_s: u64,
    },
    /// Too small.
    #[error("it has {has_mib} MiB of memory and needs {needs_mib} MiB")]
    Memory {
        /// It has.
        has_mib: u64,
        /// It needs.
        needs_mib: u64,
    },
    /// Too full.
    #[error("{has_mib} MiB are free under {path}, {needs_mib} MiB are needed")]
    Space {
        /// Where.
        path: String,
        /// Free.
        has_mib: u64,
        /// Needed.
        needs_mib: u64,
    },
    /// The kernel, or its network, lacks something.
    #[error("it lacks {lacks}")]
    Kernel {
        /// What, with a hint.
        lacks: String,
    },
    /// Somebody else listens.
    #[error("port {port}/{protocol} is taken by another program; stop that")]
    Port {
        /// Which.
        port: u16,
        /// `tcp` or `udp`.
        protocol: String,
    },
    /// A K3s that is not ours.
    #[error(
        "K3s is installed already, and not by us ({units}); uninstall it, or declare `adoption: Existing`"
    )]
    Installed {
        /// Version and units.
        units: String,
    },
    /// Marked for somebody else.
    #[error("it belongs to {object} on hub {hub}; let it go there first")]
    Elsewhere {
        /// Whose.
        object: String,
        /// Of which hub.
        hub: String,
    },
    /// Marked for an earlier life of the same object.
    #[error("it belongs to an earlier {object} with uid {uid}; take it over by naming that uid")]
    Predecessor {
        /// Whose.
        object: String,
        /// The earlier uid.
        uid: String,
    },
    /// Marked, and we do not know by whom.
    #[error(
        "its marker /etc/fleetwright/owner is not understood ({text:?}); a newer Fleetwright may own it"
    )]
    Unreadable {
        /// What it says.
        text: String,
    },
    /// It was the other kind of node.
    #[error("it carries data or a unit of a K3s {was}; remove it from the cluster first")]
    OtherRole {
        /// What it was.
        was: String,
    },
    /// Backwards.
    #[error("it runs {installed}; K3s cannot go back to {wanted}")]
    Downgrade {
        /// What is there.
        installed: String,
        /// What is declared.
        wanted: K3sVersion,
    },
    /// Too far at once.
    #[error("from {installed} to {wanted} is more than one minor version; go one at a time")]
    Jump {
        /// What is there.
        installed: K3sVersion,
        /// What is declared.
        wanted: K3sVersion,
    },
    /// It does not stay up.
    #[error("K3s ends soon after each start ({result}); see `journalctl -u {service}` on the host")]
    Crashing {
        /// The service manager's word.
        result: String,
        /// The service.
        service: String,
    },
    /// No binary where somebody else was to put one.
    #[error(
        "there is no K3s at {path}, and `source: Preinstalled` says that you put it there; do so"
    )]
    NoBinary {
        /// Where it should be.
        path: String,
    },
    /// Another version than declared, where somebody else installs it.
    #[error(
        "the K3s that you put there is {installed}, declared is {wanted}; install that version, or declare the one that is there"
    )]
    OtherVersion {
        /// What is there.
        installed: String,
        /// What is declared.
        wanted: K3sVersion,
    },
    /// A version to send that could not be had.
    #[error(
        "the release of K3s {wanted} for it could not be had; see the last error of fetching it"
    )]
    NoRelease {
        /// What is declared.
        wanted: K3sVersion,
    },
    /// Its data lies elsewhere.
    #[error(
        "its K3s keeps its data in {path}, which is not supported; move it to /var/lib/rancher/k3s"
    )]
    DataDir {
        /// Where it lies.
        path: String,
    },
    /// A drop-in would overrule us.
    #[error(
        "/etc/rancher/k3s/config.yaml.d/{file} is not ours and overrules what is declared; declare what it sets in `k3s.config`, \
         and remove it"
    )]
    DropIn {
        /// Its name.
        file: String,
    },
    /// Its unit gives K3s settings that we would lose.
    #[error(
        "its unit gives K3s {flags}, which would be lost; declare what they set, write them to /etc/rancher/k3s/config.yaml, and \
         take them out of the unit"
    )]
    Flags {
        /// Names of flags and variables.
        flags: String,
    },
    /// A second K3s.
    #[error("{unit} is a K3s under another name; uninstall it")]
    OtherUnit {
        /// The unit.
        unit: String,
    },
    /// A declaration without what every host needs.
    #[error("nothing is declared for {path}")]
    Undeclared {
        /// The file.
        path: String,
    },
}

impl Reason {
    /// Why a marker that is not ours stops us.
    pub(super) fn of_marker(marker: &Marker, asking: &Owner) -> Self {
        match marker {
            Marker::Owned(owner) if owner.hub == asking.hub && owner.object == asking.object => {
                Self::Predecessor { object: owner.object.to_string(), uid: owner.uid.to_string() }
            }
            Marker::Owned(owner) => {
                Self::Elsewhere { object: owner.object.to_string(), hub: owner.hub.to_string() }
            }
            Marker::Released(uid) => {
                Self::Installed { units: format!("let go by the object with uid {uid}") }
            }
            Marker::Unreadable(text) => Self::Unreadable { text: text.clone() },
        }
    }
}
