//! Declared against seen. Pure. Compares only declared fields, after normalising as Azure does; a field that nobody declared,
//! and the size that an autoscaler owns, never differ.

mod cluster;
mod compare;
mod machines;
mod parts;
mod pools;
mod sizes;
mod words;

pub(crate) use pools::LATEST;

use std::collections::BTreeMap;

use fleetwright_api_types::Governed;
use fleetwright_names::Ownership;
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, Difference, Phase, Resource, Seen, Snapshot, Update,
};
use fleetwright_provider::{follows_a_claim, once_claimed};
use serde_json::{Map, Value, json};

use crate::tags::name_in_azure;
use compare::Leaf;

/// `PUT` of a cluster, with all that was read.
pub(crate) const CLUSTER: &str = "ManagedClusters_CreateOrUpdate";
/// `PATCH` of a cluster's tags.
pub(crate) const CLUSTER_TAGS: &str = "ManagedClusters_UpdateTags";
/// `PUT` of an agent pool, with all that was read.
pub(crate) const POOL: &str = "AgentPools_CreateOrUpdate";
/// The newest image for the nodes of an agent pool.
pub(crate) const POOL_IMAGE: &str = "AgentPools_UpgradeNodeImageVersion";
/// `PUT` of a maintenance configuration, with all that was read.
pub(crate) const PART: &str = "MaintenanceConfigurations_CreateOrUpdate";

/// Every difference: the control plane first, then the pools by name, then the parts.
///
/// Of a control plane that is not ours: whose it is comes first, then what would follow once it is.
pub(crate) fn diff(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    match &snapshot.cluster {
        Seen::Absent => {
            changes.push(create(Resource::Cluster, &desired.body));
            let pools = desired.pools.iter();
            changes.extend(pools.map(|pool| create(Resource::Pool(pool.name.clone()), &pool.body)));
            let parts = desired.parts.iter();
            changes.extend(parts.map(|part| create(Resource::Part(part.key.clone()), &part.body)));
        }
        Seen::Unknown { .. } => {}
        Seen::Present(cluster) if desired.owner.reads(&cluster.tags) != Ownership::Ours => {
            changes.push(Change { resource: Resource::Cluster, kind: ChangeKind::Claim });
            changes.extend(claims(desired, snapshot));
            let after = diff(desired, &once_claimed(desired, snapshot));
            changes.extend(after.into_iter().filter(follows_a_claim));
        }
        Seen::Present(cluster) => {
            changes.extend(cluster::changes(desired, cluster));
            changes.extend(pools::changes(desired, snapshot, cluster));
            changes.extend(parts::changes(desired, snapshot));
            if is_stopped(&cluster.body) && !changes.is_empty() {
                let told = ("spec".to_owned(), "az aks start");
                changes = vec![stopped(Resource::Cluster, told)];
            }
        }
    }
    changes
}

/// What would become ours together with the control plane: pools that are declared and not ours, and all of a predecessor.
/// Parts have the cluster's tags, so they need none of their own.
fn claims(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut found = Vec::new();
    for (name, seen) in &snapshot.pools {
        let Seen::Present(pool) = seen else { continue };
        let stands_for = &pool.stands_for;
        let declared =
            desired.pools.iter().any(|pool| pool.name == *name || pool.name == *stands_for);
        let wanted = match desired.owner.reads(&pool.tags) {
            Ownership::Untagged | Ownership::Released => declared,
            Ownership::Predecessor(_) => true,
            Ownership::Ours | Ownership::Other(_) => false,
        };
        if wanted {
            let resource = Resource::Pool(name.clone());
            found.push(Change { resource, kind: ChangeKind::Claim });
        }
    }
    found
}

fn create(resource: Resource, body: &Value) -> Change {
    Change { resource, kind: ChangeKind::Create { body: body.clone(), replaces: None } }
}

/// Azure's word for a cluster or pool that was stopped to save money.
fn is_stopped(body: &Value) -> bool {
    let code = body["properties"]["powerState"]["code"].as_str();
    code.is_some_and(|code| code.eq_ignore_ascii_case("Stopped"))
}

/// Instead of changes that AKS would refuse.
fn stopped(resource: Resource, (field, start): (String, &str)) -> Change {
    let kind = ChangeKind::Refused {
        field,
        declared: "other than it is".to_owned(),
        found: "stopped".to_owned(),
        why: format!("AKS changes nothing of it until it is started: {start}"),
    };
    Change { resource, kind }
}

/// What Azure gave up half-way is taken up again by writing it as it is, when nothing else is written: AKS tries again all
/// that its last change was about. Where nodes are there, that may move them.
fn repair(
    body: &Value,
    (field, operation): (String, &'static str),
    has_nodes: bool,
) -> Option<Update> {
    let state = body["properties"]["provisioningState"].as_str()?;
    if !matches!(state, "Failed" | "Canceled") {
        return None;
    }
    let difference =
        Difference { field, declared: "Succeeded".to_owned(), found: state.to_owned() };
    let made = InPlace {
        what: "repair".to_owned(),
        operation,
        merge: json!({}),
        differences: vec![difference],
    };
    let update = made.update()?;
    Some(Update { governed: has_nodes.then_some(Governed::Roll), ..update })
}

/// What a change in place consists of, before it is known on what.
struct InPlace {
    what: String,
    operation: &'static str,
    /// RFC 7396, over what is read just before the write. An array in it is the whole array.
    merge: Value,
    differences: Vec<Difference>,
}

impl InPlace {
    /// An update of this kind; `None` when nothing differs.
    fn update(self) -> Option<Update> {
        (!self.differences.is_empty()).then(|| Update {
            what: self.what,
            differences: self.differences,
            body: json!({"operation": self.operation, "merge": self.merge}),
            governed: None,
            upgrade: None,
        })
    }

    fn change(self, resource: &Resource) -> Option<Change> {
        let update = self.update()?;
        Some(Change { resource: resource.clone(), kind: ChangeKind::Update(update) })
    }
}

/// A merge that sets each of these leaves to what is declared.
fn merge_of<'a>(leaves: impl IntoIterator<Item = &'a Leaf>) -> Value {
    let mut merge = Value::Object(Map::new());
    for leaf in leaves {
        let mut at = &mut merge;
        for key in &leaf.keys {
            at = &mut at[key.as_str()];
        }
        *at = leaf.declared.clone();
    }
    merge
}

/// Tags that are declared and missing or different; what else is tagged there is somebody else's. Names compare without
/// regard to case, and one that is there keeps its own.
struct Tags {
    differences: Vec<Difference>,
    /// In Azure's spelling.
    wanted: Map<String, Value>,
}

fn tags(declared: &Value, seen: &BTreeMap<String, String>) -> Tags {
    let (mut differences, mut wanted) = (Vec::new(), Map::new());
    let declared = crate::tags::from_azure(declared);
    for (name, value) in &declared {
        let found = seen.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        if found.is_some_and(|(_, found)| found == value) {
            continue;
        }
        differences.push(Difference {
            field: format!("spec.tags[{name}]"),
            declared: value.clone(),
            found: found.map_or_else(|| "none".to_owned(), |(_, found)| found.clone()),
        });
        let spelled = found.map_or(name, |(spelled, _)| spelled);
        wanted.insert(name_in_azure(spelled), json!(value));
    }
    Tags { differences, wanted }
}

/// Only what is at rest is deleted: AKS refuses to delete what is busy, and `plan` waits for it meanwhile.
const fn at_rest(phase: Phase) -> bool {
    matches!(phase, Phase::Active | Phase::Failed)
}
