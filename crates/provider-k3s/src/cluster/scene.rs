//! Declaration and look side by side, one host a line.

use fleetwright_names::Ownership;
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, PartKey, Resource, Seen, SeenCluster, Snapshot,
};

use crate::body::{ClusterBody, Deed, HostBody, Store, Task};
use crate::hosts::{ClusterFacts, HostFacts, K3sVersion, Marker, Member, Node, Role};
use crate::seen::{SeenControlPlane, SeenHost};
use crate::site::{AGENT, SERVER};
use crate::wanted::has_run;

/// How a host stands to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its marker names us.
    Ours,
    /// Somebody else's, or nobody's with K3s on it: claimed or refused before anything else.
    Strange,
    /// Nothing of K3s is there.
    Fresh,
    /// It comes and goes, and is away.
    Away,
    /// It could not be seen.
    Unseen,
    /// A person gave it up, and its node is still there.
    GivenUp,
}

/// One host.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) key: PartKey,
    pub(super) role: Role,
    /// As declared; `None`: it is no longer.
    pub(super) body: Option<HostBody>,
    pub(super) standing: Standing,
    pub(super) facts: Option<HostFacts>,
    /// When it was seen, in seconds since 1970.
    pub(super) seen_s: i64,
    /// Its node, if the cluster answers and has one.
    pub(super) node: Option<Node>,
}

impl Host {
    pub(super) fn name(&self) -> &str {
        &self.key.name
    }

    pub(super) fn resource(&self) -> Resource {
        Resource::Part(self.key.clone())
    }

    pub(super) fn is_declared(&self) -> bool {
        self.body.is_some()
    }

    /// The path of its entry in the object.
    pub(super) fn field(&self) -> String {
        let list = if self.role == Role::Server { "servers" } else { "agents" };
        format!("spec.k3s.{list}[{}]", self.name())
    }

    /// K3s ran here before.
    pub(super) fn has_run(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| has_run(facts, self.role))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.ready)
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) desired: &'a DesiredCluster,
    pub(super) cluster: ClusterBody,
    pub(super) seen: SeenControlPlane,
    /// As declared, then those that are only noted, by name.
    pub(super) servers: Vec<Host>,
    /// By name.
    pub(super) agents: Vec<Host>,
}

impl<'a> Scene<'a> {
    /// `None` when the declaration's own JSON is not understood, which is a bug.
    pub(super) fn of(
        desired: &'a DesiredCluster,
        snapshot: &Snapshot,
        seen: &SeenCluster,
    ) -> Option<Self> {
        let cluster: ClusterBody = serde_json::from_value(desired.body.clone()).ok()?;
        let seen = SeenControlPlane::read(&seen.body);
        let (mut servers, mut agents) = (Vec::new(), Vec::new());
        for part in &desired.parts {
            let body: HostBody = serde_json::from_value(part.body.clone()).ok()?;
            let found = snapshot.parts.get(&part.key);
            let host = declared(desired, (&part.key, body), found, &seen);
            if host.role == Role::Server { servers.push(host) } else { agents.push(host) }
        }
        servers.sort_by_key(|host| cluster.servers.iter().position(|name| name == host.name()));
        for (key, found) in &snapshot.parts {
            let is_declared = desired.parts.iter().any(|part| part.key == *key);
            if !is_declared && let Some(host) = noted(desired, key, found) {
                if host.role == Role::Server { servers.push(host) } else { agents.push(host) }
            }
        }
        let nodes = seen.cluster.iter().flat_map(|cluster| &cluster.nodes);
        for node in nodes {
            let all = servers.iter_mut().chain(&mut agents);
            for host in all.filter(|host| host.name() == node.name) {
                host.node = Some(node.clone());
            }
        }
        agents.sort_by(|one, other| one.key.cmp(&other.key));
        Some(Self { desired, cluster, seen, servers, agents })
    }

    /// What the cluster says, if one of its servers is ready.
    pub(super) fn view(&self) -> Option<&ClusterFacts> {
        self.seen.cluster.as_ref()
    }

    pub(super) fn is_etcd(&self) -> bool {
        self.cluster.store == Store::EmbeddedEtcd
    }

    /// Whether a server has a node that is wholly in the cluster.
    pub(super) fn is_member(&self, host: &Host) -> bool {
        let Some(node) = &host.node else { return false };
        host.role == Role::Agent || !self.is_etcd() || node.etcd == Member::Voter
    }

    /// In the cluster and ready.
    pub(super) fn is_well(&self, host: &Host) -> bool {
        self.is_member(host) && host.is_ready()
    }

    pub(super) fn task(&self, host: &Host, deed: Deed, version: K3sVersion) -> Task {
        Task {
            deed,
            cluster: self.cluster.clone(),
            host: host.body.clone(),
            name: host.name().to_owned(),
            version: version.to_string(),
            begins: false,
            replaces_node: false,
        }
    }

    /// Nothing is judged while a file's content is not known.
    pub(super) fn missing_secrets(&self) -> Vec<Change> {
        let missing = self.seen.missing.iter().map(|(field, why)| Change {
            resource: Resource::Cluster,
            kind: ChangeKind::Refused {
                field: field.clone(),
                declared: "a Secret".to_owned(),
                found: "none that can be used".to_owned(),
                why: why.clone(),
            },
        });
        missing.collect()
    }
}

fn declared(
    desired: &DesiredCluster,
    (key, body): (&PartKey, HostBody),
    found: Option<&Seen<fleetwright_plan::SeenPart>>,
    seen: &SeenControlPlane,
) -> Host {
    let role = body.role;
    let fresh = || seen.fresh.get(&key.name).cloned().unwrap_or_default();
    let (standing, told) = match found {
        None | Some(Seen::Absent) => (Standing::Fresh, fresh()),
        Some(Seen::Unknown { .. }) => (Standing::Unseen, SeenHost::default()),
        Some(Seen::Present(part)) => {
            let told = SeenHost::read(&part.body);
            (standing(desired, &part.tags, &told), told)
        }
    };
    let SeenHost { facts, seen_s, .. } = told;
    let facts = facts.map(|facts| as_claimed(desired, standing, facts));
    Host { key: key.clone(), role, body: Some(body), standing, facts, seen_s, node: None }
}

fn noted(
    desired: &DesiredCluster,
    key: &PartKey,
    found: &Seen<fleetwright_plan::SeenPart>,
) -> Option<Host> {
    let role = match key.kind {
        kind if kind == SERVER => Role::Server,
        kind if kind == AGENT => Role::Agent,
        _ => return None,
    };
    let (standing, told) = match found {
        Seen::Absent => return None,
        Seen::Unknown { .. } => (Standing::Unseen, SeenHost::default()),
        Seen::Present(part) => {
            let told = SeenHost::read(&part.body);
            (standing(desired, &part.tags, &told), told)
        }
    };
    if standing == Standing::Strange {
        return None;
    }
    let SeenHost { facts, seen_s, .. } = told;
    Some(Host { key: key.clone(), role, body: None, standing, facts, seen_s, node: None })
}

fn standing(
    desired: &DesiredCluster,
    tags: &std::collections::BTreeMap<String, String>,
    told: &SeenHost,
) -> Standing {
    if told.away {
        Standing::Away
    } else if told.abandoned {
        Standing::GivenUp
    } else if desired.owner.reads(tags) == Ownership::Ours {
        Standing::Ours
    } else {
        Standing::Strange
    }
}

/// A plan for what follows a claim sees the marker as the claim will leave it.
fn as_claimed(desired: &DesiredCluster, standing: Standing, mut facts: HostFacts) -> HostFacts {
    if standing == Standing::Ours {
        facts.marker = Some(Marker::Owned(desired.owner.clone()));
    }
    facts
}
