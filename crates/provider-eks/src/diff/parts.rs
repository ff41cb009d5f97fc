//! Add-ons, access entries, Pod Identity associations and Fargate profiles.

use std::collections::BTreeMap;

use fleetwright_names::Ownership;
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, DesiredPart, Difference, Phase, Resource, Seen, SeenPart,
    Snapshot, Update,
};
use serde_json::{Value, json};

use super::compare::{Leaf, leaves, show};
use super::{InPlace, Ours, at_rest, create, tags};
use crate::config::{POLICIES, field};
use crate::kind;

/// Every difference of the parts of a control plane of ours.
pub(super) fn changes(ours: Ours<'_>) -> Vec<Change> {
    let Ours { desired, snapshot, cluster } = ours;
    let mut changes = Vec::new();
    let mut profiles = Profiles::of(snapshot);
    for part in &desired.parts {
        let resource = Resource::Part(part.key.clone());
        match snapshot.parts.get(&part.key) {
            Some(Seen::Unknown { .. }) => {}
            None | Some(Seen::Absent) => {
                // In mode CONFIG_MAP EKS knows no entries; the mode is changed first.
                let closed = part.key.kind == kind::ENTRY
                    && cluster.body["accessConfig"]["authenticationMode"] == "CONFIG_MAP";
                if !closed && profiles.may_begin(part) {
                    changes.push(create(resource, &part.body));
                }
            }
            Some(Seen::Present(seen)) => {
                if desired.owner.reads(&seen.tags) == Ownership::Ours {
                    changes.extend(Part { desired, part, seen, resource: &resource }.changes());
                } else {
                    changes.push(Change { resource, kind: ChangeKind::Claim });
                }
            }
        }
    }
    for (key, seen) in &snapshot.parts {
        let Some(part) = seen.present() else { continue };
        let declared = desired.parts.iter().any(|part| part.key == *key);
        let resource = Resource::Part(key.clone());
        changes.extend(ours.undeclared(resource, (&part.tags, part.phase), declared));
    }
    changes
}

/// EKS makes and removes one Fargate profile at a time.
struct Profiles {
    busy: bool,
}

impl Profiles {
    fn of(snapshot: &Snapshot) -> Self {
        let busy = |part: &SeenPart| matches!(part.phase, Phase::Creating | Phase::Deleting);
        let mut profiles = snapshot.parts.iter().filter(|(key, _)| key.kind == kind::PROFILE);
        Self { busy: profiles.any(|(_, seen)| seen.present().is_some_and(busy)) }
    }

    fn may_begin(&mut self, part: &DesiredPart) -> bool {
        part.key.kind != kind::PROFILE || !std::mem::replace(&mut self.busy, true)
    }
}

fn delete(resource: &Resource) -> Change {
    Change { resource: resource.clone(), kind: ChangeKind::Delete }
}

/// A declared part of ours that is there.
struct Part<'a> {
    desired: &'a DesiredCluster,
    part: &'a DesiredPart,
    seen: &'a SeenPart,
    resource: &'a Resource,
}

impl Part<'_> {
    fn changes(&self) -> Vec<Change> {
        let mut changes = match self.part.key.kind {
            kind::ADD_ON => self.add_on(),
            kind::ENTRY => self.entry(),
            kind::IDENTITY => self.identity(),
            _ => self.profile(),
        };
        if changes.iter().any(|change| change.kind == ChangeKind::Delete) {
            return changes;
        }
        let arn = ["addonArn", "accessEntryArn", "associationArn", "fargateProfileArn"]
            .into_iter()
            .map(|key| &self.seen.body[key])
            .find(|arn| arn.is_string())
            .unwrap_or(&Value::Null);
        changes.extend(tags(self.resource, (&self.part.body["tags"], &self.seen.tags), arn));
        changes
    }

    fn told(&self, leaves: &[Leaf]) -> Vec<Difference> {
        let one = |leaf: &Leaf| Difference {
            field: field::part(&self.part.key, &leaf.path),
            declared: show(&leaf.declared),
            found: show(&leaf.found),
        };
        leaves.iter().map(one).collect()
    }

    /// The leaves of these keys that differ.
    fn differing(&self, keys: &[&str]) -> Vec<Leaf> {
        let kept = |leaf: &Leaf| {
            let top = leaf.path.split('.').next().unwrap_or_default();
            keys.contains(&top)
        };
        leaves(&self.part.body, &self.seen.body).into_iter().filter(kept).collect()
    }

    fn cluster(&self) -> &str {
        &self.desired.address.external_name
    }

    /// One call with all that is declared: what a call leaves out EKS may set back.
    fn add_on(&self) -> Vec<Change> {
        let body = &self.part.body;
        let mut differences = self.told(&self.differing(&["addonVersion"]));
        let mut what = if differences.is_empty() { "" } else { "version" };
        let configuration = self.configuration();
        if !configuration.is_empty() && what.is_empty() {
            what = "configuration";
        }
        differences.extend(configuration);
        let role = self.told(&self.differing(&["serviceAccountRoleArn"]));
        if !role.is_empty() && what.is_empty() {
            what = "role";
        }
        differences.extend(role);
        let mut input = json!({"clusterName": self.cluster(), "addonName": self.part.key.name});
        let keys =
            ["addonVersion", "configurationValues", "serviceAccountRoleArn", "resolveConflicts"];
        for key in keys {
            if !body[key].is_null() {
                input[key].clone_from(&body[key]);
            }
        }
        let made = InPlace { what: what.to_owned(), operation: "UpdateAddon", input, differences };
        made.change(self.resource).into_iter().collect()
    }

    /// Compared as JSON, declared keys only; EKS keeps the text as it was given.
    fn configuration(&self) -> Vec<Difference> {
        if self.part.body["configurationValues"].is_null() {
            return Vec::new();
        }
        let parse = |value: &Value| -> Value {
            value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
        };
        let declared = parse(&self.part.body["configurationValues"]);
        let seen = parse(&self.seen.body["configurationValues"]);
        let found = leaves(&declared, &seen)
            .into_iter()
            .map(|leaf| Leaf { path: format!("configuration.{}", leaf.path), ..leaf });
        self.told(&found.collect::<Vec<_>>())
    }

    fn entry(&self) -> Vec<Change> {
        if !self.differing(&["type"]).is_empty() && !self.part.body["type"].is_null() {
            return vec![delete(self.resource)];
        }
        let names = json!({"clusterName": self.cluster(), "principalArn": self.part.key.name});
        let mut input = names.clone();
        for key in ["kubernetesGroups", "username"] {
            if !self.part.body[key].is_null() {
                input[key].clone_from(&self.part.body[key]);
            }
        }
        let differences = self.told(&self.differing(&["kubernetesGroups", "username"]));
        let made =
            InPlace { what: "groups".into(), operation: "UpdateAccessEntry", input, differences };
        let mut changes: Vec<Change> = made.change(self.resource).into_iter().collect();
        changes.extend(self.policies(&names));
        changes
    }

    /// Policies are the whole list of an entry of ours: what is not in it goes.
    fn policies(&self, names: &Value) -> Option<Change> {
        let by_arn = |value: &Value| -> BTreeMap<String, Value> {
            let list = value.as_array().into_iter().flatten();
            list.filter_map(|policy| {
                let mut scope = policy["accessScope"].clone();
                if scope["namespaces"].as_array().is_some_and(Vec::is_empty)
                    && let Value::Object(map) = &mut scope
                {
                    map.remove("namespaces");
                }
                Some((policy["policyArn"].as_str()?.to_owned(), scope))
            })
            .collect()
        };
        let (declared, seen) =
            (by_arn(&self.part.body[POLICIES]), by_arn(&self.seen.body[POLICIES]));
        let same = |one: &Value, other: &Value| leaves(one, other).is_empty();
        let mut calls = Vec::new();
        for (arn, scope) in &declared {
            if !seen.get(arn).is_some_and(|found| same(scope, found) && same(found, scope)) {
                let mut input = names.clone();
                input["policyArn"] = json!(arn);
                input["accessScope"] = scope.clone();
                calls.push(json!({"operation": "AssociateAccessPolicy", "input": input}));
            }
        }
        for arn in seen.keys().filter(|arn| !declared.contains_key(*arn)) {
            let mut input = names.clone();
            input["policyArn"] = json!(arn);
            calls.push(json!({"operation": "DisassociateAccessPolicy", "input": input}));
        }
        if calls.is_empty() {
            return None;
        }
        let words = |policies: &BTreeMap<String, Value>| {
            let one = |(arn, scope): (&String, &Value)| {
                let name = arn.rsplit('/').next().unwrap_or(arn);
                match scope["namespaces"].as_array() {
                    Some(spaces) => format!("{name} in {}", show(&json!(spaces))),
                    None => name.to_owned(),
                }
            };
            if policies.is_empty() {
                "none".to_owned()
            } else {
                policies.iter().map(one).collect::<Vec<_>>().join(", ")
            }
        };
        let difference = Difference {
            field: field::part(&self.part.key, POLICIES),
            declared: words(&declared),
            found: words(&seen),
        };
        let kind = ChangeKind::Update(Update {
            what: "policies".to_owned(),
            differences: vec![difference],
            body: json!({"calls": calls}),
            governed: None,
            upgrade: None,
        });
        Some(Change { resource: self.resource.clone(), kind })
    }

    fn identity(&self) -> Vec<Change> {
        let mut input = json!({
            "clusterName": self.cluster(),
            "associationId": self.seen.body["associationId"],
        });
        for key in ["roleArn", "targetRoleArn"] {
            if !self.part.body[key].is_null() {
                input[key].clone_from(&self.part.body[key]);
            }
        }
        let differences = self.told(&self.differing(&["roleArn", "targetRoleArn"]));
        let operation = "UpdatePodIdentityAssociation";
        let made = InPlace { what: "role".into(), operation, input, differences };
        made.change(self.resource).into_iter().collect()
    }

    /// EKS changes nothing of a profile: it goes, and a later look finds it missing.
    fn profile(&self) -> Vec<Change> {
        let differs = !self.differing(&["podExecutionRoleArn", "subnets", "selectors"]).is_empty();
        if differs && at_rest(self.seen.phase) { vec![delete(self.resource)] } else { Vec::new() }
    }
}
