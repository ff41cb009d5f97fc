//! Applying manifests: what is missing is created, what differs is patched, what is equal is left alone.

use std::collections::BTreeSet;

use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_controllers::hub::ensure_namespace;
use fleetwright_reconcile::difference;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use serde_json::{Map, Value};

use crate::manifest::{Finding, Manifest};

/// What applying did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Applied {
    /// Objects that were not there.
    pub created: usize,
    /// Objects that were different.
    pub changed: usize,
    /// Objects that were as declared.
    pub unchanged: usize,
}

impl Applied {
    /// How many objects the files declare.
    #[must_use]
    pub const fn total(self) -> usize {
        self.created + self.changed + self.unchanged
    }
}

/// Applies checked manifests: namespaces first (those that are only used are made, too), then what belongs to no
/// namespace, then the rest.
///
/// # Errors
/// Where the hub refused. What came before it stays applied; applying again continues.
pub async fn apply(
    client: &Client,
    scheme: &Scheme,
    manifests: &[Manifest],
) -> Result<Applied, Finding> {
    let mut ordered: Vec<(u8, &Manifest, &ResourceType)> = manifests
        .iter()
        .filter_map(|manifest| {
            let rt = scheme.find_kind(manifest.text("/apiVersion"), manifest.text("/kind"))?;
            let rank = if rt.is("", "namespaces") { 0 } else { 1 + u8::from(rt.namespaced) };
            Some((rank, manifest, rt.as_ref()))
        })
        .collect();
    ordered.sort_by_key(|(rank, _, _)| *rank);
    let mut applied = Applied::default();
    let mut namespaces = BTreeSet::new();
    for (_, manifest, rt) in ordered {
        let namespace = manifest.text("/metadata/namespace");
        if rt.namespaced && namespaces.insert(namespace) {
            let made = ensure_namespace(client, namespace).await;
            made.map_err(|failure| manifest.finding("metadata.namespace", failure.message))?;
        }
        one(client, rt, manifest, &mut applied).await?;
    }
    Ok(applied)
}

async fn one(
    client: &Client,
    rt: &ResourceType,
    manifest: &Manifest,
    applied: &mut Applied,
) -> Result<(), Finding> {
    let api = api_of(client, rt, manifest.text("/metadata/namespace"));
    let name = manifest.text("/metadata/name");
    let refused =
        |error: kube::Error| manifest.finding("", format!("{}: {error}", manifest.title()));
    let Some(found) = api.get_opt(name).await.map_err(refused)? else {
        let object: DynamicObject = serde_json::from_value(manifest.object.clone())
            .map_err(|error| manifest.finding("", error.to_string()))?;
        api.create(&PostParams::default(), &object).await.map_err(refused)?;
        applied.created += 1;
        return Ok(());
    };
    let found =
        serde_json::to_value(found).map_err(|error| manifest.finding("", error.to_string()))?;
    if found["metadata"]["deletionTimestamp"].is_string() {
        let message = format!(
            "{} is being deleted; start without -f until it is gone (or leave it out of the files), then apply it again",
            manifest.title()
        );
        return Err(manifest.finding("", message));
    }
    match patch(&found, &manifest.object) {
        None => applied.unchanged += 1,
        Some(patch) => {
            let patch = Patch::Merge(&patch);
            api.patch(name, &PatchParams::default(), &patch).await.map_err(refused)?;
            applied.changed += 1;
        }
    }
    Ok(())
}

fn api_of(client: &Client, rt: &ResourceType, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: rt.group.clone(),
        version: rt.version.clone(),
        api_version: rt.api_version(),
        kind: rt.kind.clone(),
        plural: rt.plural.clone(),
    };
    if rt.namespaced {
        Api::namespaced_with(client.clone(), namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    }
}

/// The merge patch that makes `found` as declared; `None` when it is. Whole sections (`spec`, `data`) become what the
/// file says, so a field that left the file leaves the object. Labels and annotations are only added to: others set some.
fn patch(found: &Value, declared: &Value) -> Option<Value> {
    let mut patch = Map::new();
    for (section, wanted) in declared.as_object()? {
        match section.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                if let Some(inner) = metadata_patch(&found["metadata"], wanted) {
                    patch.insert("metadata".to_owned(), inner);
                }
            }
            _ => {
                if let Some(inner) = difference(&found[section], wanted) {
                    patch.insert(section.clone(), inner);
                }
            }
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn metadata_patch(found: &Value, declared: &Value) -> Option<Value> {
    let mut patch = Map::new();
    for section in ["labels", "annotations"] {
        let wanted = declared.get(section).and_then(Value::as_object).into_iter().flatten();
        let changed: Map<String, Value> = wanted
            .filter(|(key, value)| found[section].get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !changed.is_empty() {
            patch.insert(section.to_owned(), Value::Object(changed));
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// `declared` over what the hub has: its metadata and status stay, the rest is as in the file.
#[must_use]
pub fn merged(found: &Value, declared: &Value) -> Value {
    let mut merged = found.clone();
    for (section, wanted) in declared.as_object().into_iter().flatten() {
        match section.as_str() {
            "status" => {}
            "metadata" => {
                for part in ["labels", "annotations"] {
                    for (key, value) in
                        wanted.get(part).and_then(Value::as_object).into_iter().flatten()
                    {
                        merged["metadata"][part][key] = value.clone();
                    }
                }
            }
            _ => merged[section] = wanted.clone(),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_as_declared_needs_no_patch() {
        let found = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "uid": "1",
            "labels": {"a": "b", "theirs": "c"}}, "spec": {"x": 1}, "status": {"y": 2}});
        let declared = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "labels": {"a": "b"}},
            "spec": {"x": 1}});
        assert_eq!(patch(&found, &declared), None);
        assert_eq!(merged(&found, &declared), found);
    }

    #[test]
    fn what_left_the_file_leaves_the_spec_but_not_the_labels() {
        let found = json!({"metadata": {"labels": {"theirs": "c"}}, "spec": {"x": 1, "old": true}});
        let declared = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"x": 2}});
        assert_eq!(
            patch(&found, &declared),
            Some(json!({"metadata": {"labels": {"a": "b"}}, "spec": {"x": 2, "old": null}}))
        );
        assert_eq!(
            merged(&found, &declared),
            json!({"metadata": {"labels": {"theirs": "c", "a": "b"}}, "spec": {"x": 2}})
        );
    }
}
