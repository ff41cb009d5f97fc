//! What one look at a host tells. Everything we decide about a host is decided from this.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::certificate::{self, Certificate};
use super::digest::Digest;
use super::file::ManagedFile;
use super::marker::Marker;
use super::op::Role;
use super::report::Report;
use super::script::BINARY;

/// A host as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Whether the script ran as root.
    pub root: bool,
    /// What the machine is, when K3s runs on such.
    pub arch: Option<Arch>,
    /// The kernel's word for the machine: `x86_64`.
    pub machine: String,
    /// Name and version of the operating system, for people.
    pub os: String,
    /// The host's own name.
    pub hostname: String,
    /// Made at the host's installation: two hosts with the same one were copied.
    pub machine_id: Option<String>,
    /// Made at each boot.
    pub boot_id: Option<String>,
    /// The host's clock, in seconds since 1970.
    pub epoch_s: i64,
    /// Memory, in KiB.
    pub memory_kib: u64,
    /// Processors.
    pub cpus: u32,
    /// Programs that our scripts need and the host lacks.
    pub missing_tools: Vec<String>,
    /// `systemd`, `openrc` or `unknown`.
    pub init: String,
    /// Free space where we write.
    pub space: Vec<Space>,
    /// TCP ports that somebody listens on.
    pub tcp: BTreeSet<u16>,
    /// UDP ports that somebody has bound.
    pub udp: BTreeSet<u16>,
    /// What the kernel can do.
    pub kernel: Kernel,
    /// Kernel settings of the CIS profile, as they are in force.
    pub sysctls: BTreeMap<String, String>,
    /// Whose the host is; `None`: it carries no marker.
    pub marker: Option<Marker>,
    /// Digest of the binary in place.
    pub binary: Option<Digest>,
    /// Version that the binary in place reports.
    pub version: Option<String>,
    /// Archives of images in place, by what they are.
    pub images: BTreeMap<Artifact, Digest>,
    /// Large files that are on their way or have arrived, by the digest of the whole.
    pub arriving: BTreeMap<Digest, Arriving>,
    /// Files of ours that are there.
    pub files: BTreeMap<ManagedFile, SeenFile>,
    /// Digests of what K3s read when it last started, by path; empty when a unit of somebody else started it.
    pub loaded: BTreeMap<String, Digest>,
    /// Data that is there.
    pub data: BTreeSet<Datastore>,
    /// Units under `/etc/systemd/system` whose name begins with `k3s`.
    pub units: BTreeSet<String>,
    /// Flags and variables that these units give K3s, by name, without their values.
    pub flags: BTreeSet<String>,
    /// Drop-ins of K3s's configuration that are not ours; they overrule it.
    pub drop_ins: BTreeSet<String>,
    /// K3s's own settings that change where things are: `data-dir`, `node-name`.
    pub settings: BTreeMap<String, String>,
    /// Digest of what others join with, on a server that has started.
    pub server_token: Option<Digest>,
    /// Certificates of K3s.
    pub certificates: Vec<Certificate>,
    /// What the service manager says of K3s's services.
    pub services: BTreeMap<Role, Service>,
}

impl HostFacts {
    /// The name of its node in the cluster, as far as the host tells.
    #[must_use]
    pub fn node_name(&self) -> String {
        self.settings.get("node-name").unwrap_or(&self.hostname).to_lowercase()
    }

    /// The service of this role, when the service manager told of it.
    #[must_use]
    pub fn service(&self, role: Role) -> Option<&Service> {
        self.services.get(&role)
    }
}

/// A large file that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arriving {
    /// This many bytes of it are there.
    Part(u64),
    /// All of it is there, checked, and can be put in place.
    Whole,
}

/// Machines that K3s is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Arch {
    /// 64-bit Intel and AMD.
    Amd64,
    /// 64-bit ARM.
    Arm64,
    /// 32-bit ARM with hardware floating point.
    Arm,
}

impl Arch {
    fn of(machine: &str) -> Option<Self> {
        match machine {
            "x86_64" | "amd64" => Some(Self::Amd64),
            "aarch64" | "arm64" => Some(Self::Arm64),
            machine if machine.starts_with("armv7") || machine.starts_with("armv8") => {
                Some(Self::Arm)
            }
            _ => None,
        }
    }

    /// The word in the names of K3s's release files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Arm => "arm",
        }
    }
}

/// Free space in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// The folder.
    pub path: String,
    /// What a process of root may still write there, in KiB.
    pub free_kib: u64,
}

/// What the kernel can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Containers can be given memory limits.
    pub cgroup_memory: bool,
    /// Layered file systems.
    pub overlay: bool,
    /// Bridged traffic passes the packet filter.
    pub bridge_netfilter: bool,
    /// There is a default route, which K3s finds its own address by.
    pub default_route: bool,
    /// SELinux enforces.
    pub selinux_enforcing: bool,
}

/// A file as it lies there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// Of its content.
    pub digest: Digest,
    /// Its permissions in octal: `600`.
    pub mode: String,
    /// Owner and group as numbers: `0:0`.
    pub owner: String,
}

/// Data of K3s on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Datastore {
    /// Embedded SQLite.
    Sqlite,
    /// Embedded etcd.
    Etcd,
    /// A server ran here.
    Server,
    /// An agent, or the agent inside a server, ran here.
    Agent,
}

/// One service of K3s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// How it is.
    pub state: ServiceState,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// How its last run ended: `success`, `exit-code`, `oom-kill`, …
    pub result: String,
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceState {
    /// The service manager knows no such unit.
    Absent,
    /// Not running, and not because it failed.
    Stopped,
    /// On its way up or down.
    Moving,
    /// It ends soon after each start, and the service manager tries again.
    Crashing,
    /// Running, and ready.
    Running,
    /// Given up.
    Failed,
}

/// Reads the report of the script; `Err` names what is missing or malformed.
pub(super) fn read(report: &Report) -> Result<HostFacts, String> {
    let machine = needed(report, "machine")?.to_owned();
    Ok(HostFacts {
        root: needed(report, "uid")? == "0",
        arch: Arch::of(&machine),
        machine,
        os: report.one("os").unwrap_or("an unknown system").to_owned(),
        hostname: needed(report, "hostname")?.to_owned(),
        machine_id: report.one("machine_id").map(str::to_owned),
        boot_id: report.one("boot").map(str::to_owned),
        epoch_s: number(report, "epoch")?,
        memory_kib: number(report, "memory_kib")?,
        cpus: number(report, "cpus")?,
        missing_tools: report.all("missing").map(str::to_owned).collect(),
        init: needed(report, "init")?.to_owned(),
        space: report.all("space").filter_map(space).collect(),
        tcp: ports(report, "tcp"),
        udp: ports(report, "udp"),
        kernel: kernel(report),
        sysctls: report
            .all("sysctl")
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.replace('/', "."), value.to_owned()))
            .collect(),
        marker: marker(report),
        binary: sums(report, "file").remove(BINARY),
        version: report.one("version").map(str::to_owned),
        images: sums(report, "file")
            .into_iter()
            .filter_map(|(path, digest)| Some((Artifact::at(&path)?, digest)))
            .filter(|(artifact, _)| *artifact != Artifact::Binary)
            .collect(),
        arriving: report.all("part").filter_map(arriving).collect(),
        files: files(report),
        loaded: sums(report, "loaded"),
        data: report.all("data").filter_map(data).collect(),
        units: report.all("unit").map(str::to_owned).collect(),
        flags: report.all("flag").map(str::to_owned).collect(),
        drop_ins: report.all("dropin").map(str::to_owned).collect(),
        settings: report
            .all("setting")
            .filter_map(|line| line.split_once(' '))
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        server_token: report.one("server_token").and_then(|digest| Digest::parse(digest).ok()),
        certificates: report.all("cert").filter_map(certificate::read).collect(),
        services: services(report),
    })
}

fn needed<'a>(report: &'a Report, key: &'a str) -> Result<&'a str, String> {
    report.one(key).ok_or_else(|| key.to_owned())
}

fn number<T: std::str::FromStr>(report: &Report, key: &str) -> Result<T, String> {
    needed(report, key)?.parse().map_err(|_why| format!("{key} as a number"))
}

/// Lines of `sha256sum`, by path.
fn sums(report: &Report, key: &str) -> BTreeMap<String, Digest> {
    let pairs = report.all(key).filter_map(|line| line.split_once(' '));
    pairs
        .filter_map(|(hash, path)| Some((path.trim_start().to_owned(), Digest::parse(hash).ok()?)))
        .collect()
}

/// Files of ours: their digests, and lines such as `600 0:0 /etc/rancher/k3s/config.yaml`.
fn files(report: &Report) -> BTreeMap<ManagedFile, SeenFile> {
    let digests = sums(report, "file");
    let seen = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (mode, owner, path) = (words.next()?, words.next()?, words.next()?);
        let digest = digests.get(path)?.clone();
        let seen = SeenFile { digest, mode: mode.to_owned(), owner: owner.to_owned() };
        Some((ManagedFile::at(path)?, seen))
    };
    report.all("mode").filter_map(seen).collect()
}

fn space(line: &str) -> Option<Space> {
    let (free, path) = line.split_once(' ')?;
    Some(Space { path: path.to_owned(), free_kib: free.parse().ok()? })
}

fn ports(report: &Report, key: &str) -> BTreeSet<u16> {
    let words = report.all(key).flat_map(str::split_ascii_whitespace);
    words.filter_map(|hexadecimal| u16::from_str_radix(hexadecimal, 16).ok()).collect()
}

fn kernel(report: &Report) -> Kernel {
    let has = |what: &str| report.all("kernel_has").any(|word| word == what);
    Kernel {
        cgroup_memory: has("cgroup-memory"),
        overlay: has("overlay"),
        bridge_netfilter: has("br_netfilter"),
        default_route: has("default-route"),
        selinux_enforcing: has("selinux-enforcing"),
    }
}

fn marker(report: &Report) -> Option<Marker> {
    let lines: Vec<&str> = report.all("marker").collect();
    if lines.is_empty() { None } else { Some(Marker::read(&lines.join("\n"))) }
}

/// `1048576 /usr/local/bin/.k3s-<digest>.part`, and `.whole` when all is there.
fn arriving(line: &str) -> Option<(Digest, Arriving)> {
    let (bytes, path) = line.split_once(' ')?;
    let (hash, end) = path.rsplit('/').next()?.strip_prefix(".k3s-")?.split_once('.')?;
    let how = match end {
        "part" => Arriving::Part(bytes.parse().ok()?),
        "whole" => Arriving::Whole,
        _ => return None,
    };
    Some((Digest::parse(hash).ok()?, how))
}

fn data(word: &str) -> Option<Datastore> {
    match word {
        "sqlite" => Some(Datastore::Sqlite),
        "etcd" => Some(Datastore::Etcd),
        "server" => Some(Datastore::Server),
        "agent" => Some(Datastore::Agent),
        _ => None,
    }
}

/// What `systemctl show` prints: a block of properties in any order for each service, empty lines between.
fn services(report: &Report) -> BTreeMap<Role, Service> {
    let lines: Vec<&str> = report.all("service").collect();
    lines.split(|line| line.is_empty()).filter_map(service).collect()
}

fn service(block: &[&str]) -> Option<(Role, Service)> {
    let said: BTreeMap<&str, &str> = block.iter().filter_map(|line| line.split_once('=')).collect();
    let word = |key: &str| said.get(key).copied().unwrap_or_default();
    let unit = word("Id").strip_suffix(".service")?;
    let role = [Role::Server, Role::Agent].into_iter().find(|role| role.service() == unit)?;
    let state = match (word("LoadState"), word("ActiveState"), word("SubState")) {
        ("not-found", "inactive", _) => ServiceState::Absent,
        (_, _, "auto-restart") => ServiceState::Crashing,
        (_, "active", _) => ServiceState::Running,
        (_, "activating" | "deactivating" | "reloading", _) => ServiceState::Moving,
        (_, "failed", _) => ServiceState::Failed,
        _ => ServiceState::Stopped,
    };
    let enabled = word("UnitFileState") == "enabled";
    Some((role, Service { state, enabled, result: word("Result").to_owned() }))
}

#[cfg(test)]
#[path = "facts_tests.rs"]
pub(crate) mod tests;
