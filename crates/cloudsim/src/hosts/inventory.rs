//! Hosts and their clusters as invariants see them.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_names::{HubId, ObjectKey, Owner, TAG_OBJECT, TAG_POOL, TAG_RELEASED, Uid};
use jiff::Timestamp;

use super::state::{Host, HostKey, Role, Site, SiteKey};
use crate::inventory::{SimCluster, SimNodegroup};
use crate::{SettleError, Shared};

/// A host that something was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimHost {
    /// Its address, with `:port` where that is special.
    pub address: String,
    /// The name of its node.
    pub node: String,
    /// What its marker says, as tags.
    pub tags: BTreeMap<String, String>,
    /// The version of the binary in place.
    pub version: Option<String>,
    /// `server` or `agent`, by the data that lies there.
    pub role: Option<&'static str>,
    /// The cluster whose data lies there.
    pub site: Option<String>,
    /// Files of Fleetwright and of K3s's installation.
    pub files: Vec<String>,
    /// Whether it answers.
    pub is_there: bool,
    /// A digest of everything on it but the marker: two looks with the same one saw the same.
    pub mark: String,
}

/// A K3s cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimSite {
    /// The name of its member.
    pub id: String,
    /// When its founder was started for the first time.
    pub founded_at: Timestamp,
    /// The marker of the founder at that moment, as tags.
    pub founded_for: BTreeMap<String, String>,
    /// Whether its API answers.
    pub answers: bool,
    /// Voting members of etcd; 0 with another datastore.
    pub voters: usize,
    /// How many of these are up.
    pub voters_up: usize,
    /// Servers that are not up, or not ready, by name.
    pub servers_down: BTreeSet<String>,
    /// All nodes: name and version; what runs, or ran last.
    pub nodes: BTreeMap<String, String>,
    /// Nodes that take no pods.
    pub cordoned: BTreeSet<String>,
    /// The secrets that must show nowhere: the join token's password.
    pub secrets: Vec<String>,
}

fn tags(marker: Option<&str>) -> BTreeMap<String, String> {
    let words = |key: &str| {
        let line = marker.unwrap_or_default().lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().trim().to_owned()
    };
    let owner = || {
        Some(Owner {
            hub: HubId::new(words("hub ")).ok()?,
            object: ObjectKey::parse(&words("object ")),
            uid: Uid::new(words("uid ")).ok()?,
        })
    };
    match (owner(), words("released ")) {
        (Some(owner), _) => owner.tags(),
        (None, uid) if !uid.is_empty() => BTreeMap::from([(TAG_RELEASED.to_owned(), uid)]),
        (None, _) => BTreeMap::new(),
    }
}

impl Host {
    /// As a pool of its cluster, before it is a node.
    fn as_pool(&self, mut tags: BTreeMap<String, String>) -> SimNodegroup {
        let name = self.node_name();
        tags.insert(TAG_POOL.to_owned(), name.clone());
        SimNodegroup {
            name,
            status: "CREATING".to_owned(),
            version: String::new(),
            release: String::new(),
            size: (1, 1, 1),
            machines: 0,
            tags,
        }
    }

    fn seen(&self) -> SimHost {
        let mut rest = self.clone();
        // Neither whose it is nor what time does to it.
        (rest.marker, rest.back_at, rest.certified) = (None, None, None);
        rest.runs.clear();
        let text = serde_json::to_string(&rest).unwrap_or_default();
        SimHost {
            address: self.key.as_str().to_owned(),
            node: self.node_name(),
            tags: tags(self.marker.as_deref()),
            version: self.binary.as_ref().map(|(_, version)| version.clone()),
            role: self.data.as_ref().map(|(_, role)| role.word()),
            site: self.data.as_ref().map(|(site, _)| site.0.clone()),
            files: self.files.keys().cloned().collect(),
            is_there: !self.away,
            mark: super::state::sha256(text.as_bytes()),
        }
    }
}

/// Hosts that somebody has claimed and that carry no cluster.
fn claimed(tags: BTreeMap<String, String>, now: Timestamp) -> SimCluster {
    let object = tags.get(TAG_OBJECT).cloned().unwrap_or_default();
    SimCluster {
        cloud: "k3s",
        region: String::new(),
        name: format!("hosts of {object}"),
        status: "CLAIMED".to_owned(),
        version: String::new(),
        tags,
        created_at: now,
        nodegroups: Vec::new(),
        addons: BTreeMap::new(),
        access_entries: Vec::new(),
        pod_identities: Vec::new(),
        fargate_profiles: Vec::new(),
        maintenance_configurations: Vec::new(),
        outside: Vec::new(),
    }
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }
}

impl Site {
    fn seen(&self, now: Timestamp) -> SimSite {
        let (voters, voters_up) = self.voters(now);
        let servers = self.nodes.iter().filter(|(_, node)| node.role == Role::Server);
        let down = servers.filter(|(_, node)| !node.is_up(now)).map(|(name, _)| name.clone());
        let version = |node: &super::state::Node| node.shown_version(now).to_owned();
        SimSite {
            id: self.key.0.clone(),
            founded_at: self.founded_at,
            founded_for: tags(self.founded_for.as_deref()),
            answers: self.answers(now),
            voters,
            voters_up,
            servers_down: down.collect(),
            nodes: self.nodes.iter().map(|(name, node)| (name.clone(), version(node))).collect(),
            cordoned: {
                let cordoned = self.nodes.iter().filter(|(_, node)| node.cordoned);
                cordoned.map(|(name, _)| name.clone()).collect()
            },
            secrets: vec![self.password.clone()],
        }
    }

    /// As one of the clusters of all clouds: its hosts are its pools.
    fn as_cluster(&self, hosts: &BTreeMap<HostKey, Host>, now: Timestamp) -> SimCluster {
        let of = |key: &HostKey| tags(hosts.get(key).and_then(|host| host.marker.as_deref()));
        // Whose it is, as its servers say: the first that says anything.
        let first = self.holders.iter().map(of).find(|tags| !tags.is_empty());
        let nodegroups = self.nodes.iter().map(|(name, node)| {
            let mut tags = of(&node.host);
            tags.insert(TAG_POOL.to_owned(), name.clone());
            SimNodegroup {
                name: name.clone(),
                status: if node.is_up(now) { "ACTIVE" } else { "DEGRADED" }.to_owned(),
                version: node.shown_version(now).to_owned(),
                release: String::new(),
                size: (1, 1, 1),
                machines: 1,
                tags,
            }
        });
        // Hosts of the same owner that are to be its nodes, or were.
        let object = first.as_ref().and_then(|tags| tags.get(TAG_OBJECT)).cloned();
        let known: BTreeSet<&HostKey> = self.nodes.values().map(|node| &node.host).collect();
        let marked = hosts.values().filter(|host| !known.contains(&host.key)).filter_map(|host| {
            let tags = tags(host.marker.as_deref());
            let own = object.is_some() && tags.get(TAG_OBJECT) == object.as_ref();
            own.then(|| host.as_pool(tags))
        });
        let marked: Vec<SimNodegroup> = marked.collect();
        let oldest = self.nodes.values().map(|node| node.shown_version(now)).min();
        SimCluster {
            cloud: "k3s",
            region: String::new(),
            name: self.key.0.clone(),
            status: if self.answers(now) { "ACTIVE" } else { "CREATING" }.to_owned(),
            version: oldest.unwrap_or_default().to_owned(),
            tags: first.unwrap_or_default(),
            created_at: self.founded_at,
            nodegroups: nodegroups.chain(marked).collect(),
            addons: BTreeMap::new(),
            access_entries: Vec::new(),
            pod_identities: Vec::new(),
            fargate_profiles: Vec::new(),
            maintenance_configurations: Vec::new(),
            outside: Vec::new(),
        }
    }
}

impl Shared {
    /// All hosts that something was done to, by address.
    pub(crate) async fn hosts(&self) -> Result<Vec<SimHost>, SettleError> {
        Ok(self.ledger.all::<HostKey>().await?.iter().map(Host::seen).collect())
    }

    /// All K3s clusters whose data is anywhere.
    pub(crate) async fn sites(&self) -> Result<Vec<SimSite>, SettleError> {
        let now = self.clock.now();
        Ok(self.ledger.all::<SiteKey>().await?.iter().map(|site| site.seen(now)).collect())
    }

    /// The same as clusters of a cloud.
    pub(crate) async fn site_clusters(&self) -> Result<Vec<SimCluster>, SettleError> {
        let hosts = self.ledger.all::<HostKey>().await?.into_iter();
        let hosts: BTreeMap<HostKey, Host> = hosts.map(|host| (host.key.clone(), host)).collect();
        let now = self.clock.now();
        let sites = self.ledger.all::<SiteKey>().await?;
        let mut seen: Vec<SimCluster> =
            sites.iter().map(|site| site.as_cluster(&hosts, now)).collect();
        for host in hosts.values() {
            let tags = tags(host.marker.as_deref());
            let Some(object) = tags.get(TAG_OBJECT) else { continue };
            if !seen.iter().any(|cluster| cluster.tags.get(TAG_OBJECT) == Some(object)) {
                seen.push(claimed(tags, now));
            }
        }
        Ok(seen)
    }
}
