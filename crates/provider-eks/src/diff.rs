//! Declared against seen. Pure. Compares only declared fields, after normalising; a field that nobody declared, and the
//! size that an autoscaler owns, never differ.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_names::{Ownership, PoolName};
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, KubernetesVersion, Phase, Resource, Seen, Snapshot,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{ClusterBody, PoolBody, SubnetsFrom};

/// Why a difference stays: this release creates and deletes only.
const NOT_BUILT: &str = "changing it in place is not built yet";

/// Every difference: the control plane first, then the pools by name.
///
/// A control plane that is not ours has no differences: whose it is comes before how it is, and `plan` tells that.
pub(crate) fn diff(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    match &snapshot.cluster {
        Seen::Absent => changes.push(create(Resource::Cluster, &desired.body)),
        Seen::Unknown { .. } => return changes,
        Seen::Present(cluster) => {
            if desired.owner.reads(&cluster.tags) != Ownership::Ours {
                return changes;
            }
            changes.extend(cluster_changes(&desired.body, &cluster.body));
        }
    }
    changes.extend(pool_changes(desired, snapshot));
    changes
}

fn create(resource: Resource, body: &Value) -> Change {
    Change { resource, kind: ChangeKind::Create { body: body.clone() } }
}

fn cluster_changes(declared: &Value, seen: &Value) -> Vec<Change> {
    let mut found = Differences { resource: Resource::Cluster, changes: Vec::new() };
    let Some((declared, seen)) = found.read::<ClusterBody>("spec", declared, seen) else {
        return found.changes;
    };
    if is_behind(&seen.version, &declared.version) {
        found.push("spec.version", &declared.version, &seen.version);
    }
    found.text("spec.eks.roleArn", &declared.role_arn, &seen.role_arn);
    found.set("spec.eks.network.subnetIds", &declared.subnet_ids, &seen.subnet_ids);
    found.map("spec.tags", &declared.tags, &seen.tags);
    found.changes
}

fn pool_changes(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut undeclared: BTreeMap<&PoolName, &Seen<_>> = snapshot.pools.iter().collect();
    for pool in &desired.pools {
        let resource = Resource::Pool(pool.name.clone());
        match undeclared.remove(&pool.name) {
            None | Some(Seen::Absent) => changes.push(create(resource, &pool.body)),
            Some(Seen::Unknown { .. }) => {}
            Some(Seen::Present(seen)) if desired.owner.reads(&seen.tags) == Ownership::Ours => {
                changes.extend(pool_differences(&pool.name, &pool.body, &seen.body));
            }
            Some(Seen::Present(_)) => changes.push(taken(&pool.name)),
        }
    }
    for (name, seen) in undeclared {
        let Some(pool) = seen.present() else { continue };
        let ours = desired.owner.reads(&pool.tags) == Ownership::Ours;
        // EKS refuses to delete what is busy; `plan` waits for it meanwhile.
        if ours && matches!(pool.phase, Phase::Active | Phase::Failed) {
            let resource = Resource::Pool(name.clone());
            changes.push(Change { resource, kind: ChangeKind::Delete });
        }
    }
    changes
}

fn pool_differences(name: &PoolName, declared: &Value, seen: &Value) -> Vec<Change> {
    let field = format!("spec.nodePools[{name}]");
    let resource = Resource::Pool(name.clone());
    let mut found = Differences { resource, changes: Vec::new() };
    let Some((declared, seen)) = found.read::<PoolBody>(&field, declared, seen) else {
        return found.changes;
    };
    found.text(&format!("{field}.size.min"), &declared.min.to_string(), &seen.min.to_string());
    found.text(&format!("{field}.size.max"), &declared.max.to_string(), &seen.max.to_string());
    found.map(&format!("{field}.labels"), &declared.labels, &seen.labels);
    found.map("spec.tags", &declared.tags, &seen.tags);
    if declared.subnets_from == SubnetsFrom::Pool {
        found.set(&format!("{field}.eks.subnetIds"), &declared.subnet_ids, &seen.subnet_ids);
    }
    if !declared.instance_types.is_empty() {
        let text = |types: &[String]| types.join(", ");
        let (asked, there) = (text(&declared.instance_types), text(&seen.instance_types));
        found.text(&format!("{field}.eks.instanceTypes"), &asked, &there);
    }
    if let Some(ami_type) = &declared.ami_type {
        let there = seen.ami_type.as_deref().unwrap_or("none");
        found.text(&format!("{field}.eks.amiType"), ami_type, there);
    }
    found.text(&format!("{field}.eks.roleArn"), &declared.role_arn, &seen.role_arn);
    found.changes
}

fn taken(name: &PoolName) -> Change {
    let kind = ChangeKind::Refused {
        field: format!("spec.nodePools[{name}].name"),
        declared: format!("{name} of ours"),
        found: "a node group of that name with other tags".to_owned(),
        why: "somebody else made it; choose another name".to_owned(),
    };
    Change { resource: Resource::Pool(name.clone()), kind }
}

/// A control plane that is ahead of its spec is no difference: clouds upgrade by themselves at the end of support.
/// What cannot be read as a version is one.
fn is_behind(seen: &str, declared: &str) -> bool {
    let parse = |text| KubernetesVersion::parse("", text).ok();
    match (parse(seen), parse(declared)) {
        (Some(seen), Some(declared)) => seen < declared,
        _ => true,
    }
}

/// Gathers differences of one resource.
struct Differences {
    resource: Resource,
    changes: Vec<Change>,
}

impl Differences {
    fn push(&mut self, field: &str, declared: &str, found: &str) {
        let kind = ChangeKind::Refused {
            field: field.to_owned(),
            declared: declared.to_owned(),
            found: found.to_owned(),
            why: NOT_BUILT.to_owned(),
        };
        self.changes.push(Change { resource: self.resource.clone(), kind });
    }

    /// Both bodies are our own JSON, so a failure is a mistake of ours; it is told rather than hidden.
    fn read<T: DeserializeOwned>(
        &mut self,
        field: &str,
        one: &Value,
        two: &Value,
    ) -> Option<(T, T)> {
        let both = T::deserialize(one).and_then(|one| Ok((one, T::deserialize(two)?)));
        both.map_err(|error| self.push(field, "a body of ours", &format!("unreadable: {error}")))
            .ok()
    }

    fn text(&mut self, field: &str, declared: &str, found: &str) {
        if declared != found {
            self.push(field, declared, found);
        }
    }

    fn set(&mut self, field: &str, declared: &BTreeSet<String>, found: &BTreeSet<String>) {
        let text = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        self.text(field, &text(declared), &text(found));
    }

    /// Only declared keys; others belong to whoever set them.
    fn map(
        &mut self,
        field: &str,
        declared: &BTreeMap<String, String>,
        found: &BTreeMap<String, String>,
    ) {
        for (key, value) in declared {
            let there = found.get(key).map_or("none", String::as_str);
            self.text(&format!("{field}[{key}]"), value, there);
        }
    }
}
