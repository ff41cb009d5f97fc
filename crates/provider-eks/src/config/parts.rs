//! The requests for a cluster's further parts: add-ons, access entries, Pod Identity associations, Fargate profiles.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::{
    EksAccessEntry, EksAccessScope, EksAddOn, EksFargateProfile, EksOnConflict, EksPodIdentity,
};
use fleetwright_plan::{DesiredPart, PartKey, PartKind};
use serde_json::{Value, json};

use super::check::{Check, partition};
use super::{BIRTH, POLICIES, Shared};
use crate::kind;

/// All parts, sorted by key.
pub(super) fn parts(check: &mut Check, shared: &Shared<'_>) -> Vec<DesiredPart> {
    let mut parts = Parts { check, found: BTreeMap::new() };
    let eks = shared.eks;
    for add_on in &eks.managed_add_ons {
        let field = format!("spec.eks.managedAddOns[{}]", add_on.name);
        let body = self::add_on(parts.check, shared, (&field, add_on));
        parts.add(&field, (kind::ADD_ON, add_on.name.clone()), body);
    }
    for entry in eks.access.iter().flat_map(|access| &access.entries) {
        let field = format!("spec.eks.access.entries[{}]", entry.principal_arn);
        let body = self::entry(parts.check, shared, (&field, entry));
        parts.add(&field, (kind::ENTRY, entry.principal_arn.clone()), body);
    }
    for identity in &eks.pod_identities {
        let name = format!("{}/{}", identity.namespace, identity.service_account);
        let field = format!("spec.eks.podIdentities[{name}]");
        let body = self::identity(parts.check, shared, (&field, identity));
        parts.add(&field, (kind::IDENTITY, name), body);
    }
    for profile in &eks.fargate_profiles {
        let field = format!("spec.eks.fargateProfiles[{}]", profile.name);
        let body = self::profile(parts.check, shared, (&field, profile));
        parts.add(&field, (kind::PROFILE, profile.name.clone()), body);
    }
    parts.found.into_iter().map(|(key, body)| DesiredPart { key, body }).collect()
}

struct Parts<'a> {
    check: &'a mut Check,
    found: BTreeMap<PartKey, Value>,
}

impl Parts<'_> {
    fn add(&mut self, field: &str, (kind, name): (PartKind, String), body: Value) {
        self.check.that(!name.is_empty() && !name.starts_with('/'), field, || "has no name".into());
        let twice = self.found.insert(PartKey { kind, name }, body).is_some();
        self.check.that(!twice, field, || format!("another {kind} has the same name"));
    }
}

fn add_on(check: &mut Check, shared: &Shared<'_>, (field, add_on): (&str, &EksAddOn)) -> Value {
    let mut body =
        json!({"clusterName": shared.name, "addonName": add_on.name, "tags": shared.tags});
    if let Some(version) = &add_on.version {
        body["addonVersion"] = json!(version);
    }
    if let Some(role) = &add_on.role_arn {
        check.role(&format!("{field}.roleArn"), role);
        body["serviceAccountRoleArn"] = json!(role);
    }
    if let Some(conflict) = add_on.on_conflict {
        body["resolveConflicts"] = json!(match conflict {
            EksOnConflict::None => "NONE",
            EksOnConflict::Overwrite => "OVERWRITE",
            EksOnConflict::Preserve => "PRESERVE",
        });
    }
    if let Some(configuration) = &add_on.configuration {
        // EKS takes the configuration as a text that holds JSON.
        body["configurationValues"] = json!(Value::Object(configuration.clone()).to_string());
    }
    body
}

/// Types of entries other than `STANDARD` are for nodes: EKS gives them their groups and takes no policies but for `EC2`.
fn entry(check: &mut Check, shared: &Shared<'_>, (field, entry): (&str, &EksAccessEntry)) -> Value {
    check.arn_of(&format!("{field}.principalArn"), &entry.principal_arn, &["iam", "sts"]);
    let kind = entry.type_.as_deref().unwrap_or("STANDARD");
    let fixed = !matches!(kind, "STANDARD" | "EC2");
    check.that(!fixed || entry.policies.is_empty(), &format!("{field}.policies"), || {
        format!("do not go with type {kind}: EKS gives such an entry what nodes need")
    });
    let named = entry.groups.as_ref().is_some_and(|groups| !groups.is_empty());
    let standard = kind == "STANDARD";
    check.that(standard || !named, &format!("{field}.groups"), || {
        format!("do not go with type {kind}; only STANDARD takes groups")
    });
    check.that(standard || entry.username.is_none(), &format!("{field}.username"), || {
        format!("does not go with type {kind}; only STANDARD takes a name")
    });
    let mut body = json!({
        "clusterName": shared.name,
        "principalArn": entry.principal_arn,
        "tags": shared.tags,
    });
    if let Some(kind) = &entry.type_ {
        body["type"] = json!(kind);
    }
    if let Some(groups) = &entry.groups {
        check.distinct(&format!("{field}.groups"), groups.iter().map(String::as_str));
        for group in groups.iter().filter(|group| group.starts_with("system:")) {
            check.that(false, &format!("{field}.groups"), || {
                format!("{group} is Kubernetes' own; EKS refuses groups under system:")
            });
        }
        body["kubernetesGroups"] = json!(groups.iter().collect::<BTreeSet<_>>());
    }
    if let Some(name) = &entry.username {
        body["username"] = json!(name);
    }
    let mut policies = BTreeMap::new();
    for policy in &entry.policies {
        let at = format!("{field}.policies[{}]", policy.name);
        let some = policy.scope == Some(EksAccessScope::Namespaces);
        check.that(some != policy.namespaces.is_empty(), &at, || {
            "namespaces go with scope Namespaces, and only with it".into()
        });
        let spaces: BTreeSet<&String> = policy.namespaces.iter().collect();
        let scope = if some {
            json!({"type": "namespace", "namespaces": spaces})
        } else {
            json!({"type": "cluster"})
        };
        let of = partition(&shared.eks.region);
        let arn = format!("arn:{of}:eks::aws:cluster-access-policy/{}", policy.name);
        let wire = json!({"policyArn": arn, "accessScope": scope});
        let twice = policies.insert(arn, wire).is_some();
        check.that(!twice, &at, || "stands there twice".into());
    }
    body[POLICIES] = Value::Array(policies.into_values().collect());
    body
}

fn identity(
    check: &mut Check,
    shared: &Shared<'_>,
    (field, identity): (&str, &EksPodIdentity),
) -> Value {
    check.role(&format!("{field}.roleArn"), &identity.role_arn);
    let mut body = json!({
        "clusterName": shared.name,
        "namespace": identity.namespace,
        "serviceAccount": identity.service_account,
        "roleArn": identity.role_arn,
        "tags": shared.tags,
    });
    if let Some(target) = &identity.target_role_arn {
        check.role(&format!("{field}.targetRoleArn"), target);
        body["targetRoleArn"] = json!(target);
    }
    body
}

fn profile(
    check: &mut Check,
    shared: &Shared<'_>,
    (field, profile): (&str, &EksFargateProfile),
) -> Value {
    check.role(&format!("{field}.roleArn"), &profile.role_arn);
    check.that((1..=5).contains(&profile.selectors.len()), &format!("{field}.selectors"), || {
        "EKS takes one to five selectors".into()
    });
    let selectors: Vec<Value> = profile
        .selectors
        .iter()
        .map(|selector| {
            let mut wire = json!({"namespace": selector.namespace});
            if !selector.labels.is_empty() {
                wire["labels"] = json!(selector.labels);
            }
            wire
        })
        .collect();
    let declared = !profile.subnet_ids.is_empty();
    check.distinct(&format!("{field}.subnetIds"), profile.subnet_ids.iter().map(String::as_str));
    let subnets: BTreeSet<&String> = if declared {
        profile.subnet_ids.iter().collect()
    } else {
        shared.eks.network.subnet_ids.iter().collect()
    };
    let mut body = json!({
        "clusterName": shared.name,
        "fargateProfileName": profile.name,
        "podExecutionRoleArn": profile.role_arn,
        "subnets": subnets,
        "selectors": selectors,
        "tags": shared.tags,
    });
    if !declared {
        body[BIRTH] = json!(["subnets"]);
    }
    body
}
