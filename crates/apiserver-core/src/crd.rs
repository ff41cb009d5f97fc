//! CustomResourceDefinitions as objects of the API: what the server fills in, which ones it
//! refuses, which conditions they get, how they go.
//!
//! What a definition makes the server serve is compiled in `scheme/crd.rs`. Rules, texts and field
//! paths follow k8s.io/apiextensions-apiserver 1.36 (recorded answers of kube-apiserver).
//! Conversion by webhooks is refused.

use std::sync::Arc;

use fleetwright_apiserver_kinds::convert;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::scheme::ResourceType;
use crate::status::Cause;
use crate::validate;

mod check;
mod names;

pub use names::settle;

/// The resource, as `PLURAL.GROUP`.
pub const GROUP_RESOURCE: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Group of the resource.
pub const GROUP: &str = "apiextensions.k8s.io";
/// Plural of the resource.
pub const PLURAL: &str = "customresourcedefinitions";
/// What holds a definition until none of its instances is left.
pub const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// `metadata.name`; empty if it has none.
#[must_use]
pub fn name_of(crd: &Value) -> String {
    crd["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Whether the condition is `True`.
#[must_use]
pub fn has_condition(crd: &Value, name: &str) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == name && condition["status"] == "True")
}

/// Whether its instances can be reached.
#[must_use]
pub fn is_established(crd: &Value) -> bool {
    has_condition(crd, "Established")
}

/// Whether it is being deleted.
#[must_use]
pub fn is_terminating(crd: &Value) -> bool {
    crd["metadata"]["deletionTimestamp"].is_string()
}

/// What two definitions have in common that make a server serve the same.
#[must_use]
pub fn digest(crd: &Value) -> [u8; 32] {
    let served = json!([crd["spec"], crd["status"]["acceptedNames"]]);
    Sha256::digest(served.to_string().as_bytes()).into()
}

/// A definition with the names that were accepted in place of those it asks for: what is served.
#[must_use]
pub fn as_accepted(crd: &Value) -> Value {
    let mut served = crd.clone();
    for key in ["plural", "singular", "kind", "listKind", "shortNames", "categories"] {
        match crd["status"]["acceptedNames"].get(key) {
            Some(name) => served["spec"]["names"][key] = name.clone(),
            None => drop(served["spec"]["names"].as_object_mut().and_then(|n| n.remove(key))),
        }
    }
    served
}

/// A definition with everything that the server fills in.
#[must_use]
pub fn completed(crd: &Value) -> Value {
    let mut crd = crd.clone();
    if let Some(fields) = crd.as_object_mut() {
        fields.remove("status");
    }
    default(&mut crd);
    crd
}

/// Fills in what a definition leaves out. A new one also gets the status it begins with.
pub(crate) fn default(crd: &mut Value) {
    let Some(spec) = crd.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut fill = |key: &str, value: String| {
            let empty = names.get(key).and_then(Value::as_str).unwrap_or_default().is_empty();
            if empty && !kind.is_empty() {
                names.insert(key.to_owned(), Value::String(value));
            }
        };
        fill("singular", kind.to_lowercase());
        fill("listKind", format!("{kind}List"));
    }
    let strategy = spec.get("conversion").and_then(|conversion| conversion["strategy"].as_str());
    if strategy.is_none_or(str::is_empty) {
        spec.insert("conversion".to_owned(), json!({"strategy": "None"}));
    }
    // What every definition of apiextensions v1 says; only a stored `true` would mean something.
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.remove("preserveUnknownFields");
    }
    for schema in schemas(spec) {
        tidy_schema(schema);
    }
    remember_storage(crd);
}

fn schemas(spec: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let versions = spec.get_mut("versions").and_then(Value::as_array_mut).into_iter().flatten();
    versions.filter_map(|version| version.pointer_mut("/schema/openAPIV3Schema"))
}

/// Below `items` and `additionalProperties` unknown keywords go without a word, as they do in
/// upstream's decoder; elsewhere the published schema has told about them.
fn tidy_schema(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.retain(|key, _| KEYWORDS.contains(&key.as_str()));
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "definitions", Value::Object(all)) => {
                all.values_mut().for_each(tidy_schema);
            }
            ("allOf" | "anyOf" | "oneOf" | "items", Value::Array(all)) => {
                all.iter_mut().for_each(tidy_schema);
            }
            ("items" | "not" | "additionalProperties" | "additionalItems", value) => {
                tidy_schema(value);
            }
            _ => {}
        }
    }
}

/// The fields of JSONSchemaProps.
const KEYWORDS: &[&str] = &[
    "$ref",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "definitions",
    "dependencies",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "id",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// A version in which objects may be stored is one from then on.
fn remember_storage(crd: &mut Value) {
    let versions = crd["spec"]["versions"].as_array().into_iter().flatten();
    let mut storing = versions.filter(|version| version["storage"] == true);
    let storage = storing.next().and_then(|version| version["name"].as_str()).map(str::to_owned);
    if !crd["status"].is_object() {
        crd["status"] = json!({"conditions": null, "storedVersions": [],
            "acceptedNames": {"plural": "", "kind": ""}});
    }
    if let (Some(storage), Some(status)) = (storage, crd["status"].as_object_mut()) {
        let stored = status.entry("storedVersions").or_insert_with(|| json!([]));
        if let Some(stored) =
            stored.as_array_mut().filter(|all| !all.iter().any(|v| *v == *storage))
        {
            stored.push(json!(storage));
        }
    }
    // Upstream writes a list without entries as null.
    if crd["status"]["storedVersions"].as_array().is_some_and(Vec::is_empty) {
        crd["status"]["storedVersions"] = Value::Null;
    }
}

/// A stored object in the version of a type. Versions differ in nothing but their name: that is
/// all that conversion strategy None says, and others are refused.
#[must_use]
pub fn in_version(rt: &ResourceType, object: &Arc<Value>) -> Arc<Value> {
    // A view of another kind was made when the object was read.
    if rt.storage || rt.view().is_some() {
        return Arc::clone(object);
    }
    let mut shown = (**object).clone();
    shown["apiVersion"] = json!(rt.api_version());
    Arc::new(shown)
}

/// A stored object as a kind shows it that is only a view of it; None for all others.
#[must_use]
pub fn viewed(rt: &ResourceType, object: &Value) -> Option<Value> {
    rt.view().map(|kind| convert::from_stored(kind, object))
}

/// An object of any version as it is stored.
#[must_use]
pub fn in_storage_version(rt: &ResourceType, mut object: Value) -> Value {
    if let Some(kind) = rt.view() {
        return convert::to_stored(kind, object);
    }
    if !rt.storage {
        object["apiVersion"] = json!(rt.stored_as);
    }
    object
}

/// A stored object as the kind's schema shows it today: in the version that is stored now, with
/// the defaults of now. None if it is that already.
#[must_use]
pub fn reread(rt: &ResourceType, object: &Value) -> Option<Value> {
    let moved = object["apiVersion"] != rt.stored_as;
    if !moved && !rt.has_defaults() {
        return None;
    }
    let mut next = object.clone();
    next["apiVersion"] = json!(rt.stored_as);
    validate::apply_defaults(rt, &mut next);
    (next != *object).then_some(next)
}

/// All that is wrong with a definition beside its metadata.
pub(crate) fn check_definition(crd: &Value, old: Option<&Value>) -> Vec<Cause> {
    check::check(crd, old)
}

/// What a delete writes: the definition stays until its instances are gone.
#[must_use]
pub fn marked_deleting(old: &Value, now: Timestamp) -> Value {
    let mut marked = old.clone();
    let metadata = &mut marked["metadata"];
    metadata["deletionTimestamp"] = json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let finalizers = metadata
        .as_object_mut()
        .map(|metadata| metadata.entry("finalizers").or_insert_with(|| json!([])));
    if let Some(Value::Array(list)) = finalizers
        && !list.iter().any(|name| name == CLEANUP_FINALIZER)
    {
        list.push(json!(CLEANUP_FINALIZER));
    }
    if let Some(generation) = marked["metadata"]["generation"].as_i64() {
        marked["metadata"]["generation"] = json!(generation + 1);
    }
    let message =
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let deleting = ["Terminating", "True", "InstanceDeletionPending", message];
    names::set_condition(&mut marked["status"], deleting, now);
    marked
}

/// The end of a deletion, once no instance is left: without the finalizer.
#[must_use]
pub fn cleaned_up(old: &Value, now: Timestamp) -> Value {
    let mut object = old.clone();
    if let Some(Value::Array(list)) = object.pointer_mut("/metadata/finalizers") {
        list.retain(|name| name != CLEANUP_FINALIZER);
    }
    let done = ["Terminating", "False", "InstanceDeletionCompleted", "removed all instances"];
    names::set_condition(&mut object["status"], done, now);
    object
}

#[cfg(test)]
mod tests;
