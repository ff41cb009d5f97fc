//! Agent pools: created, scaled and rolled in place, or replaced by a successor where AKS changes nothing.

mod marks;

use std::collections::BTreeMap;

use fleetwright_api_types::Governed;
use fleetwright_names::{Ownership, PoolName, sha256_hex};
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, DesiredPool, Difference, KubernetesVersion, Phase,
    Replacement, Resource, Seen, SeenCluster, SeenPool, Snapshot, Update, Upgrade,
};
use serde_json::{Map, Value, json};

use super::compare::{Leaf, leaves};
use super::machines::{is_newer, is_same_sku};
use super::sizes::scaling;
use super::words::word;
use super::{
    InPlace, POOL, POOL_IMAGE, at_rest, create, is_stopped, merge_of, repair, stopped, tags,
};
use crate::config::{BIRTH, IMAGE, IN_WINDOW, field};

/// What AKS changes in place, or what says which pool it is; all other properties make another pool.
const IN_PLACE: [&str; 16] = [
    "name",
    "count",
    "minCount",
    "maxCount",
    "enableAutoScaling",
    "nodeLabels",
    "nodeTaints",
    "tags",
    "mode",
    "upgradeSettings",
    "orchestratorVersion",
    "scaleDownMode",
    "networkProfile",
    "securityProfile",
    "localDNSProfile",
    "artifactStreamingProfile",
];
/// Of these, what one `PUT` of settings changes.
const SETTINGS: [&str; 7] = [
    "mode",
    "upgradeSettings",
    "scaleDownMode",
    "networkProfile",
    "securityProfile",
    "localDNSProfile",
    "artifactStreamingProfile",
];
/// A successor's name: so many letters of the pool's own, so many digits of a digest; shorter on Windows.
const NAME: (usize, usize) = (6, 6);
const WINDOWS_NAME: (usize, usize) = (1, 5);
/// What observe notes on a pool: the newest release of its image.
pub(crate) const LATEST: &str = "_latestNodeImageVersion";

/// Every difference of the pools of a control plane of ours.
pub(super) fn changes(
    desired: &DesiredCluster,
    snapshot: &Snapshot,
    cluster: &SeenCluster,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for pool in &desired.pools {
        changes.extend(Pool { desired, snapshot, cluster, pool }.changes());
    }
    for (name, seen) in &snapshot.pools {
        let Some(group) = seen.present() else { continue };
        let declared = |name: &PoolName| desired.pools.iter().any(|pool| pool.name == *name);
        let ours = desired.owner.reads(&group.tags) == Ownership::Ours;
        let leaves = ours && !declared(&group.stands_for) && !declared(name);
        if leaves && at_rest(group.phase) && may_leave(desired, snapshot, (name, group)) {
            let resource = Resource::Pool(name.clone());
            changes.push(Change { resource, kind: ChangeKind::Delete });
        }
    }
    changes
}

/// AKS keeps no cluster without a pool of role System: the last one waits for another that is declared, there and well.
fn may_leave(
    desired: &DesiredCluster,
    snapshot: &Snapshot,
    (name, group): (&PoolName, &SeenPool),
) -> bool {
    if !is_system(&group.body) {
        return true;
    }
    snapshot.pools.iter().any(|(other, seen)| {
        let Some(seen) = seen.present().filter(|_| other != name) else { return false };
        let stays = desired.pools.iter().any(|pool| {
            (pool.name == *other || pool.name == seen.stands_for) && is_system(&pool.body)
        }) || desired.owner.reads(&seen.tags) != Ownership::Ours;
        let is_well = seen.phase == Phase::Active && seen.trouble.is_empty();
        stays && is_system(&seen.body) && is_well && seen.size > 0
    })
}

fn is_system(body: &Value) -> bool {
    body["properties"]["mode"].as_str().is_some_and(|mode| mode.eq_ignore_ascii_case("System"))
}

/// One declared pool, and all that stands for it.
struct Pool<'a> {
    desired: &'a DesiredCluster,
    snapshot: &'a Snapshot,
    cluster: &'a SeenCluster,
    pool: &'a DesiredPool,
}

impl Pool<'_> {
    fn changes(&self) -> Vec<Change> {
        let name = &self.pool.name;
        let successor = self.successor();
        let unknown =
            |name: &PoolName| matches!(self.snapshot.pools.get(name), Some(Seen::Unknown { .. }));
        if unknown(name) || successor.as_ref().is_some_and(unknown) {
            return Vec::new();
        }
        let groups = self.groups();
        let leaving = |group: &SeenPool| group.phase == Phase::Deleting;
        let staying: Vec<_> = groups.iter().filter(|(_, group)| !leaving(group)).collect();
        let plain = self.snapshot.pools.get(name).and_then(Seen::present);
        let stranger =
            plain.is_some_and(|group| self.desired.owner.reads(&group.tags) != Ownership::Ours);
        let fitting = |group: &SeenPool| self.immutable_leaves(group).is_empty();
        if let Some((chosen, group)) = staying.iter().find(|(_, group)| fitting(group)) {
            let mut changes = self.in_place(chosen, group);
            for (other, _) in staying.iter().filter(|(other, _)| other != chosen) {
                changes.push(retire(other, chosen));
            }
            return changes;
        }
        if stranger {
            let resource = Resource::Pool(name.clone());
            return vec![Change { resource, kind: ChangeKind::Claim }];
        }
        match (staying.first(), successor) {
            (Some((old, group)), Some(successor)) => {
                self.replace((old, group), &successor, &staying)
            }
            // The name is free again once its last bearer is gone.
            _ if plain.is_some() => Vec::new(),
            _ => vec![create(Resource::Pool(name.clone()), &self.at_birth())],
        }
    }

    /// Pools of ours that stand for this one: that of its own name first, the others by name.
    fn groups(&self) -> Vec<(PoolName, SeenPool)> {
        let name = &self.pool.name;
        let mut found: Vec<(PoolName, SeenPool)> = self
            .snapshot
            .pools
            .iter()
            .filter_map(|(seen, group)| Some((seen.clone(), group.present()?.clone())))
            .filter(|(seen, group)| seen == name || group.stands_for == *name)
            .filter(|(_, group)| self.desired.owner.reads(&group.tags) == Ownership::Ours)
            .collect();
        found.sort_by_key(|(seen, _)| seen != name);
        found
    }

    /// The part of the request that makes another pool when it changes, with the notes that say what was given at birth.
    fn immutable(&self) -> Value {
        let properties = self.pool.body["properties"].as_object().into_iter().flatten();
        let kept: Map<String, Value> = properties
            .filter(|(key, _)| !IN_PLACE.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        json!({"properties": kept, BIRTH: self.pool.body[BIRTH]})
    }

    fn immutable_leaves(&self, group: &SeenPool) -> Vec<Leaf> {
        let image = group.release.as_deref().unwrap_or_default();
        let mut found = leaves(&self.immutable(), &group.body);
        found.retain(|leaf| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            leaf.path != "properties.osSKU"
                || !is_same_sku(&text(&leaf.declared), &text(&leaf.found), image)
        });
        found
    }

    /// The name of a pool with just these immutable fields: the same declaration always finds the same successor. Names are
    /// short, so that the digest holds the pool's name too.
    fn successor(&self) -> Option<PoolName> {
        let windows = self.pool.body["properties"]["osType"] == "Windows";
        let (letters, digits) = if windows { WINDOWS_NAME } else { NAME };
        let name = self.pool.name.as_str();
        let digest = sha256_hex(format!("{name} {}", sorted(&self.immutable())));
        let kept: String = name.chars().take(letters).collect();
        PoolName::new(format!("{kept}{}", &digest[..digits])).ok()
    }

    /// What makes this pool on the control plane that is there: its version to the patch. Left to itself, AKS takes the version
    /// that was last asked for, which after an upgrade that failed is above what runs, and is refused.
    fn at_birth(&self) -> Value {
        let mut body = self.pool.body.clone();
        if !self.cluster.version.is_empty() {
            body["properties"]["orchestratorVersion"] = json!(self.cluster.version);
        }
        body
    }

    fn replace(
        &self,
        (old, group): (&PoolName, &SeenPool),
        successor: &PoolName,
        staying: &[&(PoolName, SeenPool)],
    ) -> Vec<Change> {
        // It is on its way out, somebody else's, or not yet what it will be: its name must be free first.
        if self.snapshot.pools.contains_key(successor) {
            let made =
                staying.iter().find(|(name, group)| name == successor && at_rest(group.phase));
            return made.map(|(_, group)| self.otherwise(successor, group)).unwrap_or_default();
        }
        let mut body = self.at_birth();
        if let Value::Object(properties) = &mut body["properties"]
            && properties.get("enableAutoScaling") == Some(&Value::Bool(true))
        {
            let bound = |key: &str| properties.get(key).and_then(Value::as_i64).unwrap_or_default();
            // As many nodes as there are, since an autoscaler may have asked for more than at birth.
            let size = i64::from(group.size).max(bound("minCount")).min(bound("maxCount"));
            properties.insert("count".to_owned(), json!(size));
        }
        let differences = self.told(&self.immutable_leaves(group));
        let replaces = Some(Replacement { pool: old.clone(), differences });
        let resource = Resource::Pool(successor.clone());
        let mut changes = vec![Change { resource, kind: ChangeKind::Create { body, replaces } }];
        changes.extend(staying.iter().map(|(old, _)| retire(old, successor)));
        changes
    }

    /// A successor of ours came out otherwise than it was declared, so that another one would, too.
    fn otherwise(&self, successor: &PoolName, group: &SeenPool) -> Vec<Change> {
        let refused = |Difference { field, declared, found }: Difference| {
            let why = format!(
                "pool {successor} was made for this and is otherwise, which AKS never changes: declare what is there, or \
                 delete that pool"
            );
            let kind = ChangeKind::Refused { field, declared, found, why };
            Change { resource: Resource::Pool(self.pool.name.clone()), kind }
        };
        self.told(&self.immutable_leaves(group)).into_iter().map(refused).collect()
    }

    fn told(&self, leaves: &[Leaf]) -> Vec<Difference> {
        let one = |leaf: &Leaf| Difference {
            field: field::pool(self.pool.name.as_str(), &leaf.path),
            declared: word(&leaf.path, &leaf.declared),
            found: word(&leaf.path, &leaf.found),
        };
        leaves.iter().map(one).collect()
    }

    /// What AKS changes in place. A pool that is broken for good is left as it is: its trouble is told.
    fn in_place(&self, name: &PoolName, group: &SeenPool) -> Vec<Change> {
        if group.phase == Phase::Failed {
            return Vec::new();
        }
        let resource = Resource::Pool(name.clone());
        let mut changes = Vec::new();
        changes.extend(self.settings(name, group).change(&resource));
        if let Some((merge, differences)) =
            scaling((self.pool.name.as_str(), &self.pool.body), group)
        {
            let made = InPlace { what: "scaling".into(), operation: POOL, merge, differences };
            changes.extend(made.change(&resource));
        }
        changes.extend(
            self.roll(group).map(|update| Change {
                resource: resource.clone(),
                kind: ChangeKind::Update(update),
            }),
        );
        let found = tags(&self.pool.body["properties"]["tags"], &group.tags);
        let made = InPlace {
            what: "tags".into(),
            operation: POOL,
            merge: json!({"properties": {"tags": found.wanted}}),
            differences: found.differences,
        };
        changes.extend(made.change(&resource));
        let field = format!("spec.nodePools[{}]", self.pool.name);
        if changes.is_empty() {
            let repair = repair(&group.body, (field, POOL), group.release.is_some());
            let kind = repair.map(ChangeKind::Update);
            changes.extend(kind.map(|kind| Change { resource, kind }));
        } else if is_stopped(&group.body) {
            return vec![stopped(resource, (field, "az aks nodepool start"))];
        }
        changes
    }

    /// Labels, taints, mode and what an upgrade does to nodes, in one `PUT`.
    fn settings(&self, name: &PoolName, group: &SeenPool) -> InPlace {
        let keeps = !may_leave(self.desired, self.snapshot, (name, group));
        let kept = |leaf: &Leaf| {
            let top = leaf.keys.get(1).map_or("", String::as_str);
            // The last pool of role System stays that until there is another.
            SETTINGS.contains(&top) && !(top == "mode" && keeps && leaf.declared == "User")
        };
        let found: Vec<Leaf> =
            leaves(&self.pool.body, &group.body).into_iter().filter(kept).collect();
        let mut merge = merge_of(&found);
        let (declared, there) = (
            &self.pool.body["properties"]["upgradeSettings"],
            &group.body["properties"]["upgradeSettings"],
        );
        // AKS either adds nodes or takes some away: what is declared now turns off the other.
        let surges = found.iter().any(|leaf| leaf.path == "properties.upgradeSettings.maxSurge");
        let away = there["maxUnavailable"].as_str().is_some_and(|away| away != "0");
        if surges && away && declared["maxUnavailable"].is_null() {
            merge["properties"]["upgradeSettings"]["maxUnavailable"] = json!("0");
        }
        let mut differences = self.told(&found);
        if let Some((labels, told)) = self.labels(group) {
            merge["properties"]["nodeLabels"] = labels;
            differences.extend(told);
        }
        if let Some((taints, difference)) = self.taints(group) {
            merge["properties"]["nodeTaints"] = taints;
            differences.push(difference);
        }
        InPlace { what: "config".into(), operation: POOL, merge, differences }
    }

    /// What replaces the nodes one by one: a newer Kubernetes version or image, in this order.
    fn roll(&self, group: &SeenPool) -> Option<Update> {
        if let Some(upgrade) = self.upgrade(group) {
            let version = upgrade.to.to_string();
            let merge = json!({"properties": {"orchestratorVersion": version}});
            return Some(Update {
                what: "version".to_owned(),
                differences: vec![Difference {
                    field: "spec.version".to_owned(),
                    declared: version,
                    found: group.version.clone(),
                }],
                body: json!({"operation": POOL, "merge": merge}),
                governed: Some(Governed::Upgrade),
                upgrade: Some(upgrade),
            });
        }
        let latest = self.newer_image(group)?;
        Some(Update {
            what: "image".to_owned(),
            differences: vec![Difference {
                field: format!("spec.nodePools[{}].imageUpdates", self.pool.name),
                declared: latest.to_owned(),
                found: group.release.clone().unwrap_or_default(),
            }],
            body: json!({"operation": POOL_IMAGE, "merge": {}}),
            governed: Some(Governed::Roll),
            upgrade: None,
        })
    }

    /// Pools follow the control plane that is there, not the one that is declared.
    fn upgrade(&self, group: &SeenPool) -> Option<Upgrade> {
        let parse = |text: &str| KubernetesVersion::parse("", text).ok();
        let (from, to) = (parse(&group.version)?, parse(&self.cluster.version)?);
        (from < to).then(|| Upgrade { from, to, target: self.desired.version.max(to) })
    }

    fn newer_image<'b>(&self, group: &'b SeenPool) -> Option<&'b str> {
        if self.pool.body[IMAGE] != IN_WINDOW {
            return None;
        }
        let latest = group.body[LATEST].as_str()?;
        let there = group.release.as_deref()?;
        is_newer(latest, there).then_some(latest)
    }
}

/// The same text for the same value, whatever the order of its keys.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            let inner: Vec<String> =
                sorted.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(list) => {
            let inner: Vec<String> = list.iter().map(sorted).collect();
            format!("[{}]", inner.join(","))
        }
        other => other.to_string(),
    }
}

fn retire(old: &PoolName, successor: &PoolName) -> Change {
    let kind = ChangeKind::Retire { successor: successor.clone() };
    Change { resource: Resource::Pool(old.clone()), kind }
}
