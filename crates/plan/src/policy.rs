//! The plan for the policies on one member: labels and NetworkPolicies, put back when somebody takes them away.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::{MemberStep, Plan, Step};

/// What all policies together ask of one member.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DesiredMember {
    /// Generation of the cluster object, for the status.
    pub generation: i64,
    /// Labels that each namespace shall carry, by namespace. A namespace that is missing here gets none of ours.
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
    /// Labels that we own on namespaces: removed where `labels` does not ask for them and we set them before.
    pub owned_labels: Vec<String>,
    /// NetworkPolicies, by namespace and name.
    pub network_policies: BTreeMap<(String, String), DesiredNetworkPolicy>,
}

/// A NetworkPolicy that shall be there.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredNetworkPolicy {
    /// The whole object, with the annotation that holds its digest.
    pub object: Value,
}

/// What one member looks like.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberSnapshot {
    /// Its namespaces.
    pub namespaces: BTreeMap<String, SeenNamespace>,
    /// The NetworkPolicies that carry our label, by namespace and name: `metadata.labels` and `spec` are compared.
    pub network_policies: BTreeMap<(String, String), Value>,
}

/// A namespace of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenNamespace {
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it carries our mark: we labelled it before.
    pub marked: bool,
    /// Whether it is on its way out; nothing can be created in it.
    pub terminating: bool,
}

/// Plans one member. Namespaces on their way out are left alone.
#[must_use]
pub fn plan_member(desired: &DesiredMember, seen: &MemberSnapshot, idle: Duration) -> Plan {
    let mut steps = Vec::new();
    for (name, namespace) in &seen.namespaces {
        if namespace.terminating {
            continue;
        }
        let labels = label_changes(desired, name, namespace);
        if !labels.is_empty() {
            steps
                .push(Step::Member(MemberStep::LabelNamespace { namespace: name.clone(), labels }));
        }
    }
    let open = |name: &str| seen.namespaces.get(name).is_some_and(|found| !found.terminating);
    for ((namespace, name), wanted) in &desired.network_policies {
        let place = (namespace.clone(), name.clone());
        if open(namespace)
            && seen.network_policies.get(&place).is_none_or(|found| differs(&wanted.object, found))
        {
            steps.push(Step::Member(MemberStep::PutNetworkPolicy {
                namespace: namespace.clone(),
                name: name.clone(),
                object: wanted.object.clone(),
            }));
        }
    }
    for (namespace, name) in seen.network_policies.keys() {
        let wanted = desired.network_policies.contains_key(&(namespace.clone(), name.clone()));
        if open(namespace) && !wanted {
            steps.push(Step::Member(MemberStep::DeleteNetworkPolicy {
                namespace: namespace.clone(),
                name: name.clone(),
            }));
        }
    }
    Plan { generation: desired.generation, steps, requeue: Some(idle), ..Plan::default() }
}

/// What an audit of `audited` finds missing, one line each, without acting.
#[must_use]
pub fn violations(audited: &DesiredMember, seen: &MemberSnapshot) -> Vec<String> {
    let open = |namespace: &str| seen.namespaces.get(namespace).filter(|found| !found.terminating);
    let mut found = Vec::new();
    for (namespace, wanted) in &audited.labels {
        let Some(now) = open(namespace) else { continue };
        if strictness(&now.labels) > strictness(wanted) {
            continue;
        }
        for (key, value) in wanted {
            if now.labels.get(key) != Some(value) {
                found.push(format!("namespace {namespace} lacks label {key}={value}"));
            }
        }
    }
    for (namespace, name) in audited.network_policies.keys() {
        let there = seen.network_policies.contains_key(&(namespace.clone(), name.clone()));
        if open(namespace).is_some() && !there {
            found.push(format!("namespace {namespace} lacks networkpolicy {name}"));
        }
    }
    found
}

/// The label that holds a namespace to a Pod Security Standard.
pub const LABEL_ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// How strict a namespace's labels are: the Pod Security Standards from loose to strict.
fn strictness(labels: &BTreeMap<String, String>) -> usize {
    let level = labels.get(LABEL_ENFORCE).map_or("privileged", String::as_str);
    ["privileged", "baseline", "restricted"].iter().position(|known| *known == level).unwrap_or(0)
}

fn label_changes(
    desired: &DesiredMember,
    name: &str,
    seen: &SeenNamespace,
) -> Vec<(String, Option<String>)> {
    let none = BTreeMap::new();
    let wanted = desired.labels.get(name).unwrap_or(&none);
    if !seen.marked && strictness(&seen.labels) > strictness(wanted) {
        // Its owner asks for more than we do; taking that away would be no policy.
        return Vec::new();
    }
    let mut changes: Vec<(String, Option<String>)> = wanted
        .iter()
        .filter(|(key, value)| seen.labels.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect();
    if seen.marked {
        changes.extend(
            desired
                .owned_labels
                .iter()
                .filter(|key| seen.labels.contains_key(*key) && !wanted.contains_key(*key))
                .map(|key| (key.clone(), None)),
        );
    }
    changes.sort();
    changes
}

/// Compares only what we declare: our labels and the whole spec.
fn differs(wanted: &Value, found: &Value) -> bool {
    let labels = |object: &Value| object.pointer("/metadata/labels").cloned().unwrap_or_default();
    let (asked, there) = (labels(wanted), labels(found));
    let labels_differ = asked
        .as_object()
        .is_some_and(|asked| asked.iter().any(|(key, value)| there.get(key) != Some(value)));
    labels_differ || wanted.get("spec") != found.get("spec")
}
