//! Node groups: created, scaled and rolled in place, or replaced by a successor where EKS changes nothing.

mod marks;

use fleetwright_api_types::{Governed, OnDrainTimeout};
use fleetwright_names::{Ownership, PoolName, TAG_POOL, sha256_hex};
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, DesiredPool, Difference, KubernetesVersion, Phase,
    Replacement, Resource, Seen, SeenCluster, SeenPool, Snapshot, Update, Upgrade,
};
use serde_json::{Map, Value, json};

use super::compare::{Leaf, leaves, show};
use super::{InPlace, Ours, create, tags};
use crate::config::{IMAGE, IN_WINDOW, field};

/// What EKS changes in place, or what says which group it is; all other keys of a request make another group.
const IN_PLACE: [&str; 12] = [
    "clusterName",
    "nodegroupName",
    "scalingConfig",
    "labels",
    "taints",
    "updateConfig",
    "nodeRepairConfig",
    "warmPoolConfig",
    "tags",
    "version",
    "releaseVersion",
    "clientRequestToken",
];
/// Longest name of a node group.
const NAME_LIMIT: usize = 63;
/// Digits of the digest in a successor's name.
const DIGITS: usize = 6;
/// What observe notes on a group: the newest release of its image.
pub(crate) const LATEST: &str = "_latestRelease";

/// Every difference of the pools of a control plane of ours.
pub(super) fn changes(ours: Ours<'_>) -> Vec<Change> {
    let Ours { desired, snapshot, cluster } = ours;
    let mut changes = Vec::new();
    for pool in &desired.pools {
        changes.extend(Pool { desired, snapshot, cluster, pool }.changes());
    }
    for (name, seen) in &snapshot.pools {
        let Some(group) = seen.present() else { continue };
        let declared =
            desired.pools.iter().any(|pool| pool.name == *name || pool.name == group.stands_for);
        let resource = Resource::Pool(name.clone());
        changes.extend(ours.undeclared(resource, (&group.tags, group.phase), declared));
    }
    changes
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
            _ => vec![create(Resource::Pool(name.clone()), &self.pool.body)],
        }
    }

    /// Groups of ours that stand for this pool: that of its own name first, the others by name.
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

    fn immutable(&self) -> Map<String, Value> {
        let body = self.pool.body.as_object().cloned().unwrap_or_default();
        let birth = &self.pool.body[crate::config::BIRTH];
        let at_birth =
            |key: &str| birth.as_array().is_some_and(|paths| paths.iter().any(|path| path == key));
        let mut kept: Map<String, Value> = body
            .into_iter()
            .filter(|(key, _)| !key.starts_with('_') && !IN_PLACE.contains(&key.as_str()))
            .filter(|(key, _)| !at_birth(key))
            .collect();
        // A newer version of the same launch template is rolled out in place.
        if let Some(Value::Object(template)) = kept.get_mut("launchTemplate") {
            template.remove("version");
        }
        kept
    }

    fn immutable_leaves(&self, group: &SeenPool) -> Vec<Leaf> {
        leaves(&Value::Object(self.immutable()), &group.body)
    }

    /// The name of a group with just these immutable fields: the same declaration always finds the same successor.
    fn successor(&self) -> Option<PoolName> {
        let sorted: std::collections::BTreeMap<String, Value> =
            self.immutable().into_iter().collect();
        let digest = sha256_hex(json!(sorted).to_string());
        let digits = &digest[..DIGITS];
        let kept: String = self.pool.name.as_str().chars().take(NAME_LIMIT - 1 - DIGITS).collect();
        PoolName::new(format!("{}-{digits}", kept.trim_end_matches('-'))).ok()
    }

    fn replace(
        &self,
        (old, group): (&PoolName, &SeenPool),
        successor: &PoolName,
        staying: &[&(PoolName, SeenPool)],
    ) -> Vec<Change> {
        // It is on its way out, somebody else's, or not yet what it will be: its name must be free first.
        if self.snapshot.pools.contains_key(successor) {
            let made = staying
                .iter()
                .find(|(name, group)| name == successor && super::at_rest(group.phase));
            return made.map(|(_, group)| self.otherwise(successor, group)).unwrap_or_default();
        }
        let mut body = self.pool.body.clone();
        body["nodegroupName"] = json!(successor.as_str());
        body["tags"][TAG_POOL] = json!(self.pool.name.as_str());
        if let Value::Object(scaling) = &mut body["scalingConfig"] {
            let bound = |key: &str| scaling.get(key).and_then(Value::as_i64).unwrap_or_default();
            // As many nodes as there are, since an autoscaler may have asked for more than at birth.
            let size = i64::from(group.size).max(bound("minSize")).min(bound("maxSize"));
            scaling.insert("desiredSize".to_owned(), json!(size));
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
        let refused = |difference: Difference| {
            let Difference { field, declared, found } = difference;
            let why = format!(
                "pool {successor} was made for this and is otherwise, which EKS never changes: declare what is there, or \
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
            declared: show(&leaf.declared),
            found: show(&leaf.found),
        };
        leaves.iter().map(one).collect()
    }

    /// What EKS changes in place. A group that never came to be is left as it is: its trouble is told.
    fn in_place(&self, name: &PoolName, group: &SeenPool) -> Vec<Change> {
        if group.phase == Phase::Failed {
            return Vec::new();
        }
        let resource = Resource::Pool(name.clone());
        let names = json!({
            "clusterName": self.desired.address.external_name,
            "nodegroupName": name.as_str(),
        });
        let mut changes = Vec::new();
        changes.extend(self.config(&names, group).and_then(|made| made.change(&resource)));
        let rolled = self.roll(&names, group);
        changes.extend(
            rolled.map(|update| Change {
                resource: resource.clone(),
                kind: ChangeKind::Update(update),
            }),
        );
        let declared = &self.pool.body["tags"];
        changes.extend(tags(&resource, (declared, &group.tags), &group.body["nodegroupArn"]));
        changes
    }

    /// All of `UpdateNodegroupConfig` in one call.
    fn config(&self, names: &Value, group: &SeenPool) -> Option<InPlace> {
        let (declared, seen) = (&self.pool.body, &group.body);
        let mut input = names.clone();
        let mut differences = Vec::new();
        let found = |keys: &[&str]| -> Vec<Leaf> {
            let kept = |leaf: &Leaf| keys.iter().any(|key| leaf.path.starts_with(key));
            leaves(declared, seen).into_iter().filter(kept).collect()
        };
        let size =
            |value: &Value, key: &str| value["scalingConfig"][key].as_i64().unwrap_or_default();
        let (min, max) = (size(declared, "minSize"), size(declared, "maxSize"));
        let wanted = size(seen, "desiredSize");
        let mut scaling = self.told(&found(&["scalingConfig."]));
        if !scaling.is_empty() || !(min..=max).contains(&wanted) {
            if scaling.is_empty() {
                let field = field::pool(self.pool.name.as_str(), "scalingConfig.minSize");
                let field = field.trim_end_matches(".min").to_owned();
                let declared = format!("{min} to {max}");
                scaling.push(Difference { field, declared, found: wanted.to_string() });
            }
            differences.append(&mut scaling);
            input["scalingConfig"] = json!({"minSize": min, "maxSize": max});
            // Between the bounds it is the autoscaler's, who may have changed it since we looked.
            if !(min..=max).contains(&wanted) {
                input["scalingConfig"]["desiredSize"] = json!(wanted.clamp(min, max.max(min)));
            }
        }
        if let Some((labels, told)) = self.labels(group) {
            input["labels"] = labels;
            differences.extend(told);
        }
        if let Some((taints, difference)) = self.taints(group) {
            input["taints"] = taints;
            differences.push(difference);
        }
        for key in ["updateConfig", "nodeRepairConfig", "warmPoolConfig"] {
            let told = self.told(&found(&[&format!("{key}."), key]));
            if !told.is_empty() {
                input[key] = declared[key].clone();
                differences.extend(told);
            }
        }
        Some(InPlace {
            what: "config".into(),
            operation: "UpdateNodegroupConfig",
            input,
            differences,
        })
    }

    /// What replaces the nodes one by one: a newer Kubernetes version, launch template or image, in this order.
    fn roll(&self, names: &Value, group: &SeenPool) -> Option<Update> {
        let mut input = names.clone();
        if self.pool.on_drain_timeout == OnDrainTimeout::Force {
            input["force"] = json!(true);
        }
        let declared = &self.pool.body["launchTemplate"];
        let other =
            declared.is_object() && declared["version"] != group.body["launchTemplate"]["version"];
        let mut differences = Vec::new();
        if other {
            input["launchTemplate"] = declared.clone();
            differences.push(Difference {
                field: field::pool(self.pool.name.as_str(), "launchTemplate.version"),
                declared: show(&declared["version"]),
                found: show(&group.body["launchTemplate"]["version"]),
            });
        }
        let upgrade = self.upgrade(group);
        let what = if let Some(upgrade) = upgrade {
            input["version"] = json!(upgrade.to.to_string());
            differences.push(Difference {
                field: "spec.version".to_owned(),
                declared: upgrade.to.to_string(),
                found: group.version.clone(),
            });
            "version"
        } else if other {
            "launch-template"
        } else {
            let latest = self.newer_image(group)?;
            input["releaseVersion"] = json!(latest);
            differences.push(Difference {
                field: format!("spec.nodePools[{}].imageUpdates", self.pool.name),
                declared: latest.to_owned(),
                found: group.release.clone().unwrap_or_default(),
            });
            "image"
        };
        Some(Update {
            what: what.to_owned(),
            differences,
            body: json!({"operation": "UpdateNodegroupVersion", "input": input}),
            governed: Some(if upgrade.is_some() { Governed::Upgrade } else { Governed::Roll }),
            upgrade,
        })
    }

    /// Pools follow the control plane that is there, not the one that is declared. Images of the user's own carry their
    /// version with them.
    fn upgrade(&self, group: &SeenPool) -> Option<Upgrade> {
        let parse = |text: &str| KubernetesVersion::parse("", text).ok();
        let (from, to) = (parse(&group.version)?, parse(&self.cluster.version)?);
        let own_image = group.body["amiType"] == "CUSTOM";
        (from < to && !own_image).then(|| Upgrade {
            from,
            to,
            target: self.desired.version.max(to),
        })
    }

    fn newer_image<'b>(&self, group: &'b SeenPool) -> Option<&'b str> {
        if self.pool.body[IMAGE] != IN_WINDOW {
            return None;
        }
        let latest = group.body[LATEST].as_str()?;
        let there = group.release.as_deref()?;
        (latest != there).then_some(latest)
    }
}

fn retire(old: &PoolName, successor: &PoolName) -> Change {
    let kind = ChangeKind::Retire { successor: successor.clone() };
    Change { resource: Resource::Pool(old.clone()), kind }
}
