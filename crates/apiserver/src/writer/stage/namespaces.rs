//! The life of a namespace, within one commit: what it takes along when it goes, what it waits
//! for, and what its conditions say meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::household::MANAGER;
use super::{Stage, WriteError};
use crate::tables::{Object, Place, Tables};

/// The resource whose deletion takes others along.
const NAMESPACES: &str = "namespaces";
/// The finalizer in a namespace's spec that stands for its contents.
const CONTENTS: &str = "kubernetes";
/// Objects up to which a namespace is counted anew for each that goes.
const MUCH: usize = 100;

impl Stage {
    /// What a write entails. `born` and `removed` tell what it was.
    pub(super) fn follow(
        &mut self,
        tables: &Arc<Tables>,
        resource: &str,
        object: &Arc<Object>,
        (born, removed): (bool, bool),
    ) {
        let (namespace, name) = &object.place;
        if resource == NAMESPACES {
            match (removed, is_deleting(&object.value)) {
                (true, _) => self.empty_namespace(tables, name),
                (false, true) => {
                    self.empty_namespace(tables, name);
                    self.touch(tables, name, true);
                }
                (false, false) if born => self.furnish(tables, name),
                (false, false) => {}
            }
        } else if !namespace.is_empty() {
            if Self::is_furniture(resource, &object.place) {
                self.furnish(tables, namespace);
            }
            if removed {
                self.touch(tables, namespace, false);
            }
        }
    }

    pub(super) fn check_namespace(
        &self,
        tables: &Tables,
        namespace: &str,
    ) -> Result<(), WriteError> {
        if namespace.is_empty() {
            return Ok(());
        }
        match self.current(tables, NAMESPACES, &namespace_place(namespace)) {
            None => Err(WriteError::NamespaceMissing),
            Some(object) if is_deleting(&object.value) => Err(WriteError::NamespaceTerminating),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn namespace_lives(&self, tables: &Tables, namespace: &str) -> bool {
        !namespace.is_empty() && self.check_namespace(tables, namespace).is_ok()
    }

    /// Deletes what a namespace holds: at once, or by a mark where finalizers wait.
    fn empty_namespace(&mut self, tables: &Arc<Tables>, namespace: &str) {
        for (resource, object) in self.contents(tables, namespace) {
            if !has_finalizers(&object.value) {
                self.remove(tables, &resource, &object);
            } else if !is_deleting(&object.value) {
                let marked = mark_deleting(&object.value, self.now);
                let old = Some(Arc::clone(&object));
                self.put(tables, &resource, object.place.clone(), marked, old);
            }
        }
    }

    /// Notes that a namespace may be done once the batch is: its contents are looked through once,
    /// however many of them go at once.
    fn touch(&mut self, tables: &Arc<Tables>, namespace: &str, whole: bool) {
        let key = (tables.cluster.clone(), namespace.to_owned());
        let touched = self.touched.entry(key).or_insert_with(|| (Arc::clone(tables), false));
        touched.1 |= whole;
    }

    pub(super) fn finish_namespaces(&mut self) {
        for ((_, namespace), (tables, whole)) in std::mem::take(&mut self.touched) {
            if whole || !self.told_enough(&tables, &namespace) {
                self.finish_namespace(&tables, &namespace);
            }
        }
    }

    /// Whether a namespace surely has much left, and has told so within this second: to count it
    /// again for each object that goes would keep the writer from all else.
    fn told_enough(&self, tables: &Tables, namespace: &str) -> bool {
        let now = seconds(self.now);
        let told = |object: &Arc<Object>| {
            let entries = object.value["metadata"]["managedFields"].as_array();
            let mut entries = entries.into_iter().flatten();
            entries.any(|entry| is_ours(entry) && entry["time"] == *now)
        };
        let place = namespace_place(namespace);
        self.current(tables, NAMESPACES, &place).is_some_and(|object| told(&object))
            // What is staged can take no more than itself from what is shown.
            && tables.holds_more_than(namespace, MUCH + self.objects.len())
    }

    /// Removes a namespace that is deleting, empty and held by no finalizer; says what it waits
    /// for where it cannot go.
    fn finish_namespace(&mut self, tables: &Arc<Tables>, namespace: &str) {
        let place = namespace_place(namespace);
        let Some(object) = self.current(tables, NAMESPACES, &place) else { return };
        if !is_deleting(&object.value) {
            return;
        }
        let rest = self.contents(tables, namespace);
        if rest.is_empty() && !is_held(&object.value) {
            self.remove(tables, NAMESPACES, &object);
        } else if let Some(told) = with_conditions(&object.value, &rest, self.now) {
            self.put(tables, NAMESPACES, place, told, Some(object));
        }
    }

    fn contents(&self, tables: &Tables, namespace: &str) -> Vec<(String, Arc<Object>)> {
        let mut found = BTreeMap::new();
        for resource in tables.resources() {
            let listed = tables.list(&resource, Some(namespace), None, None);
            for object in listed.map(|snapshot| snapshot.objects).unwrap_or_default() {
                found.insert((resource.clone(), object.place.clone()), object);
            }
        }
        for ((cluster, resource, place), staged) in &self.objects {
            if *cluster != tables.cluster || place.0 != namespace {
                continue;
            }
            let address = (resource.clone(), place.clone());
            match staged {
                Some(object) => found.insert(address, Arc::clone(object)),
                None => found.remove(&address),
            };
        }
        found.into_iter().map(|((resource, _), object)| (resource, object)).collect()
    }
}

fn namespace_place(namespace: &str) -> Place {
    (String::new(), namespace.to_owned())
}

pub(crate) fn is_deleting(value: &Value) -> bool {
    !value["metadata"]["deletionTimestamp"].is_null()
}

pub(crate) fn has_finalizers(value: &Value) -> bool {
    value["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

/// Whether somebody beside us keeps the namespace.
fn is_held(namespace: &Value) -> bool {
    let spec = namespace["spec"]["finalizers"].as_array().into_iter().flatten();
    has_finalizers(namespace) || spec.into_iter().any(|finalizer| finalizer != CONTENTS)
}

/// Times in objects have whole seconds.
pub(super) fn seconds(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What a deletion that must wait writes (k8s.io/apiserver `rest.BeforeDelete`).
pub(crate) fn mark_deleting(value: &Value, now: Timestamp) -> Value {
    let mut marked = value.clone();
    let metadata = &mut marked["metadata"];
    metadata["deletionTimestamp"] = json!(seconds(now));
    metadata["deletionGracePeriodSeconds"] = json!(0);
    if let Some(generation) = metadata["generation"].as_u64() {
        metadata["generation"] = json!(generation + 1);
    }
    marked
}

/// The namespace with conditions about what is left; `None` when they say that already.
fn with_conditions(
    namespace: &Value,
    rest: &[(String, Arc<Object>)],
    now: Timestamp,
) -> Option<Value> {
    let mut kinds = BTreeMap::<&str, usize>::new();
    let mut finalizers = BTreeMap::<&str, usize>::new();
    for (resource, object) in rest {
        *kinds.entry(resource).or_default() += 1;
        let held = object.value["metadata"]["finalizers"].as_array().into_iter().flatten();
        for finalizer in held.filter_map(Value::as_str) {
            *finalizers.entry(finalizer).or_default() += 1;
        }
    }
    let instances =
        |(what, count): (&&str, &usize)| format!("{what} in {count} resource instances");
    let kind = |(resource, count): (&&str, &usize)| {
        // Upstream writes the group behind a dot, also where it is empty.
        let dot = if resource.contains('.') { "" } else { "." };
        format!("{resource}{dot} has {count} resource instances")
    };
    let kinds = kinds.iter().map(kind).collect::<Vec<_>>().join(", ");
    let finalizers = finalizers.iter().map(instances).collect::<Vec<_>>().join(", ");
    let wanted = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        if kinds.is_empty() {
            let message = "All content successfully removed".to_owned();
            ("NamespaceContentRemaining", "ContentRemoved", message)
        } else {
            let message = format!("Some resources are remaining: {kinds}");
            ("NamespaceContentRemaining", "SomeResourcesRemain", message)
        },
        if finalizers.is_empty() {
            let message = "All content-preserving finalizers finished".to_owned();
            ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", message)
        } else {
            let message =
                format!("Some content in the namespace has finalizers remaining: {finalizers}");
            ("NamespaceFinalizersRemaining", "SomeFinalizersRemain", message)
        },
    ];
    let before = namespace["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut changed = before.len() != wanted.len();
    let mut conditions = Vec::new();
    for (kind, reason, message) in wanted {
        let status = if reason.starts_with("Some") { "True" } else { "False" };
        let old = before.iter().find(|condition| condition["type"] == kind);
        let same = old.filter(|old| old["status"] == status);
        let since = same.map_or_else(|| json!(seconds(now)), |c| c["lastTransitionTime"].clone());
        let condition = json!({"type": kind, "status": status, "lastTransitionTime": since,
            "reason": reason, "message": message});
        changed |= old != Some(&condition);
        conditions.push(condition);
    }
    if !changed {
        return None;
    }
    let mut told = namespace.clone();
    told["status"]["conditions"] = json!(conditions);
    sign(&mut told["metadata"], &conditions, now);
    Some(told)
}

fn is_ours(entry: &Value) -> bool {
    entry["manager"] == MANAGER && entry["subresource"] == "status"
}

/// Notes in `managedFields` who wrote the conditions.
fn sign(metadata: &mut Value, conditions: &[Value], now: Timestamp) {
    let mut fields = json!({".": {}});
    for condition in conditions {
        let key = format!("k:{}", json!({"type": condition["type"]}));
        fields[key] = json!({".": {}, "f:lastTransitionTime": {}, "f:message": {},
            "f:reason": {}, "f:status": {}, "f:type": {}});
    }
    let entry = json!({"manager": MANAGER, "operation": "Update", "apiVersion": "v1",
        "time": seconds(now), "fieldsType": "FieldsV1",
        "fieldsV1": {"f:status": {"f:conditions": fields}}, "subresource": "status"});
    if !metadata["managedFields"].is_array() {
        metadata["managedFields"] = json!([]);
    }
    if let Some(entries) = metadata["managedFields"].as_array_mut() {
        entries.retain(|old| !is_ours(old));
        entries.push(entry);
    }
}
