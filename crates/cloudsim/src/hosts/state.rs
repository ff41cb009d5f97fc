//! What is remembered of each simulated host, and of each K3s cluster that hosts make together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::config::Config;
use crate::state::{RecordKey, digest_hex};

/// K3s's binary.
pub(crate) const BINARY: &str = "/usr/local/bin/k3s";
/// The manifest that lets our own account be.
const MANIFEST: &str = "/var/lib/rancher/k3s/server/manifests/fleetwright.yaml";
/// How long a node counts as ready after its last sign of life, as Kubernetes has it.
const GRACE: Duration = Duration::from_secs(40);
/// A new member of etcd learns for so small a part of a start before it votes.
pub(super) const LEARNS: u32 = 4;

/// Which host: its address, with `:port` unless that is 22.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct HostKey(String);

impl HostKey {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        Self(if port == 22 { host } else { format!("{host}:{port}") })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its port.
    pub(crate) fn address(&self) -> &str {
        // An IPv6 address has more than one colon, and no port here but behind the last.
        match self.0.rsplit_once(':') {
            Some((host, port)) if port.len() < 6 && !host.ends_with(':') && !is_v6(&self.0) => host,
            _ => &self.0,
        }
    }
}

fn is_v6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

impl RecordKey for HostKey {
    type Record = Host;
    const ENTRY: &'static str = "host.json";
    const BEFORE: &'static str = "host-before.json";

    fn record_id(&self) -> String {
        let label = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let slug: String = self.0.chars().take(40).map(label).collect();
        format!("host-{slug}-{}", digest_hex(&self.0, 8))
    }

    fn of(record: &Host) -> &Self {
        &record.key
    }
}

/// Which cluster of hosts: the name of its member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SiteKey(pub(crate) String);

impl RecordKey for SiteKey {
    type Record = Site;
    const ENTRY: &'static str = "k3s.json";
    const BEFORE: &'static str = "k3s-before.json";

    fn record_id(&self) -> String {
        self.0.clone()
    }

    fn of(record: &Site) -> &Self {
        &record.key
    }
}

/// What K3s is on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Role {
    Server,
    Agent,
}

impl Role {
    pub(crate) const ALL: [Self; 2] = [Self::Server, Self::Agent];

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Server => "k3s.service",
            Self::Agent => "k3s-agent.service",
        }
    }

    pub(super) fn unit_path(self) -> String {
        format!("/etc/systemd/system/{}", self.unit())
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "server" => Some(Self::Server),
            "agent" => Some(Self::Agent),
            _ => None,
        }
    }
}

/// A file on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) content: String,
    pub(crate) mode: String,
}

impl File {
    pub(super) fn digest(&self) -> String {
        sha256(self.content.as_bytes())
    }
}

/// SHA-256 as 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(super) digest: String,
    pub(super) content: String,
    /// All of it has arrived.
    pub(super) whole: bool,
}

/// Why K3s does not come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stuck {
    /// It waits for somebody else, and says so.
    Waits(String),
    /// It ends soon after each start.
    Crashes(String),
}

/// K3s at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(super) since: Timestamp,
    /// The binary that runs.
    pub(super) version: String,
    /// What its unit noted at the start, by path.
    pub(super) loaded: BTreeMap<String, String>,
    pub(super) stuck: Option<Stuck>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) key: HostKey,
    /// Until when it is on its way up again.
    pub(super) back_at: Option<Timestamp>,
    /// Switched off, or out of reach.
    #[serde(default)]
    pub(super) away: bool,
    pub(super) boots: u32,
    /// How far its clock is ahead.
    #[serde(default)]
    pub(super) skew_s: i64,
    /// What may still be written; 0: the disk is full.
    pub(super) free_kib: u64,
    /// What its line carries, in bytes a second; `None`: as much as one likes.
    #[serde(default)]
    pub(super) line: Option<u64>,
    pub(super) marker: Option<String>,
    pub(super) files: BTreeMap<String, File>,
    /// By the word of what it becomes.
    #[serde(default)]
    pub(super) parts: BTreeMap<String, Part>,
    /// Digest and version of the binary in place.
    pub(super) binary: Option<(String, String)>,
    /// Digests of archives of images, by path.
    #[serde(default)]
    pub(super) images: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) sysctls: BTreeMap<String, String>,
    pub(super) enabled: BTreeSet<Role>,
    pub(super) runs: BTreeMap<Role, Run>,
    /// The cluster whose data lies here, and as what.
    pub(super) data: Option<(SiteKey, Role)>,
    /// What others join with, as this server has it.
    #[serde(default)]
    pub(super) token: Option<String>,
    /// When its certificates were made.
    #[serde(default)]
    pub(super) certified: Option<Timestamp>,
}

impl Host {
    /// A bare Debian machine.
    pub(super) fn bare(key: HostKey) -> Self {
        Self {
            key,
            back_at: None,
            away: false,
            boots: 1,
            skew_s: 0,
            free_kib: 40_000_000,
            line: None,
            marker: None,
            files: BTreeMap::new(),
            parts: BTreeMap::new(),
            binary: None,
            images: BTreeMap::new(),
            sysctls: BTreeMap::new(),
            enabled: BTreeSet::new(),
            runs: BTreeMap::new(),
            data: None,
            token: None,
            certified: None,
        }
    }

    /// Nothing was ever done to it, so nothing need be kept.
    pub(super) fn is_bare(&self) -> bool {
        *self == Self::bare(self.key.clone())
    }

    pub(super) fn hostname(&self) -> String {
        let address = self.key.address();
        if address.parse::<std::net::IpAddr>().is_ok() {
            return format!("host-{}", address.replace(['.', ':'], "-"));
        }
        address.split('.').next().unwrap_or(address).to_owned()
    }

    pub(super) fn machine_id(&self) -> String {
        digest_hex(&format!("machine {}", self.key.as_str()), 32)
    }

    pub(super) fn boot_id(&self) -> String {
        let id = digest_hex(&format!("boot {} {}", self.boots, self.key.as_str()), 32);
        let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default().to_owned();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    /// Its configuration as K3s would read it now: the file, then the drop-ins by name.
    pub(super) fn config(&self) -> Config {
        let folder = "/etc/rancher/k3s/config.yaml.d/";
        let drop_ins = self.files.iter().filter(|(path, _)| path.starts_with(folder));
        let main = self.files.get("/etc/rancher/k3s/config.yaml").into_iter();
        let texts = main.chain(drop_ins.map(|(_, file)| file)).map(|file| file.content.as_str());
        Config::read(texts)
    }

    pub(super) fn node_name(&self) -> String {
        self.config().one("node-name").unwrap_or_else(|| self.hostname()).to_lowercase()
    }

    pub(super) fn has_manifest(&self) -> bool {
        self.files.contains_key(MANIFEST)
    }
}

/// A node of a cluster, and on servers its member of the datastore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(super) uid: String,
    pub(super) host: HostKey,
    pub(super) role: Role,
    /// When its member of etcd votes; `None`: it has none.
    pub(super) voter_from: Option<Timestamp>,
    /// When K3s on it is up; `None`: it does not run.
    pub(super) up_at: Option<Timestamp>,
    /// When it was up for the last time before that.
    pub(super) last_up: Option<Timestamp>,
    /// What runs, or comes up.
    pub(super) version: String,
    /// What ran before.
    pub(super) before: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) taints: Vec<String>,
    pub(super) cordoned: bool,
    pub(super) in_turn: Option<String>,
    pub(super) pods: u32,
    /// A budget keeps its pods where they are.
    #[serde(default)]
    pub(super) pods_stay: bool,
    pub(super) address: String,
    /// Names and addresses at which this server answers.
    pub(super) names: BTreeSet<String>,
}

impl Node {
    pub(super) fn is_up(&self, now: Timestamp) -> bool {
        self.up_at.is_some_and(|at| at <= now)
    }

    /// Whether the cluster has heard of it.
    pub(super) fn is_listed(&self, now: Timestamp) -> bool {
        self.is_up(now) || self.last_up.is_some()
    }

    pub(super) fn votes(&self, now: Timestamp) -> bool {
        self.voter_from.is_some_and(|from| from <= now)
    }

    /// Since when it counts as lost; `None`: it is ready.
    pub(super) fn unready_since(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_up(now) {
            return None;
        }
        let lost = later(self.last_up?, GRACE);
        (lost <= now).then_some(lost)
    }

    pub(super) fn shown_version(&self, now: Timestamp) -> &str {
        if self.is_up(now) { &self.version } else { &self.before }
    }

    /// K3s on it ends.
    pub(super) fn goes_down(&mut self, now: Timestamp) {
        if self.is_up(now) {
            self.last_up = Some(now);
            self.before.clone_from(&self.version);
        }
        self.up_at = None;
    }
}

/// Where a cluster keeps its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Store {
    Etcd,
    Sqlite,
    /// By the digest of where it is.
    External(String),
}

/// A K3s cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Site {
    pub(crate) key: SiteKey,
    pub(super) founded_by: HostKey,
    pub(super) founded_at: Timestamp,
    /// The marker of the founder at that moment.
    pub(super) founded_for: Option<String>,
    pub(super) password: String,
    pub(super) store: Store,
    pub(super) encrypted: bool,
    /// By name.
    pub(super) nodes: BTreeMap<String, Node>,
    /// Where its data lies: servers.
    pub(super) holders: BTreeSet<HostKey>,
    /// Whether it has a Kubernetes API: since its first server was up.
    pub(crate) made: bool,
    /// What its member was last told of its nodes, so that it is told again only when that changed.
    #[serde(default)]
    pub(super) told: String,
}

impl Site {
    pub(super) fn servers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.role == Role::Server)
    }

    /// Voting members of etcd, and how many of them are up.
    pub(super) fn voters(&self, now: Timestamp) -> (usize, usize) {
        let voters = self.servers().filter(|node| node.votes(now));
        voters.fold((0, 0), |(all, up), node| (all + 1, up + usize::from(node.is_up(now))))
    }

    /// Whether its API answers.
    pub(crate) fn answers(&self, now: Timestamp) -> bool {
        let any = self.servers().any(|node| node.is_up(now));
        match self.store {
            Store::Etcd => {
                let (all, up) = self.voters(now);
                all > 0 && up > all / 2
            }
            Store::Sqlite | Store::External(_) => any,
        }
    }

    /// Whether its API is served by a running server that has this name or address.
    pub(crate) fn is_at(&self, name: &str, now: Timestamp) -> bool {
        let name = name.to_ascii_lowercase();
        self.servers().any(|node| node.is_up(now) && node.names.contains(&name))
    }

    /// The highest minor version that a server of it ever ran.
    pub(super) fn minor(&self) -> u32 {
        self.servers().map(|node| minor(&node.version).max(minor(&node.before))).max().unwrap_or(0)
    }

    /// The lowest minor version of its servers.
    pub(super) fn lowest_minor(&self, now: Timestamp) -> u32 {
        self.servers().map(|node| minor(node.shown_version(now))).min().unwrap_or(0)
    }
}

/// 34 of `v1.34.2+k3s1`.
pub(super) fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

/// A moment later on.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_address_and_by_its_port_where_that_is_special() {
        assert_eq!(HostKey::new("S1.hosts.example", 22).as_str(), "s1.hosts.example");
        let odd = HostKey::new("10.0.0.1", 2222);
        assert_eq!((odd.as_str(), odd.address()), ("10.0.0.1:2222", "10.0.0.1"));
        assert_eq!(HostKey::new("2001:db8::1", 22).address(), "2001:db8::1");
        assert_eq!(Host::bare(odd).hostname(), "host-10-0-0-1");
        assert_eq!(Host::bare(HostKey::new("s1.hosts.example", 22)).hostname(), "s1");
    }

    #[test]
    fn names_of_records_are_labels_of_their_own() {
        let one = HostKey::new("a.b", 22).record_id();
        assert_ne!(one, HostKey::new("a-b", 22).record_id());
        assert!(one.chars().all(|c| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit()));
    }
}
