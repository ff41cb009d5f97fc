//! What the unit tests of several modules share: one custom kind with every schema feature.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::scheme::{ResourceType, Scheme};

/// A CustomResourceDefinition of ships.
pub(crate) fn ship_crd() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["flag"],
        "properties": {
            "flag": {"type": "string", "enum": ["red", "blue"]},
            "crew": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
            "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "port": {"x-kubernetes-int-or-string": true},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "note": {"type": "string", "nullable": true},
            "when": {"type": "string", "format": "date-time"},
            "ratio": {"type": "number"},
            "home": {"type": "string",
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "home is immutable"}]},
            "low": {"type": "integer"},
            "high": {"type": "integer"},
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "maxItems": 3,
                "items": {"type": "string"}},
            "limits": {"type": "object", "additionalProperties": {"type": "string"}},
            "holds": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"], "items": {
                    "type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"},
                        "size": {"type": "integer", "x-kubernetes-validations": [
                            {"rule": "self >= oldSelf", "message": "a hold never shrinks"}]},
                        "kind": {"type": "string", "default": "Dry"}}}},
        },
        "x-kubernetes-validations": [
            {"rule": "!has(self.low) || !has(self.high) || self.low <= self.high",
                "message": "low must not exceed high"},
            {"rule": "!has(self.code) || self.code != 'bad'",
                "messageExpression": "'code is ' + self.code", "reason": "FieldValueForbidden",
                "fieldPath": ".code"}],
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ships.sea.example.com"},
        "spec": {
            "group": "sea.example.com",
            "scope": "Namespaced",
            "names": {"plural": "ships", "kind": "Ship", "shortNames": ["sh"], "categories": ["fleet"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                    "spec": spec,
                    "status": {"type": "object", "properties": {
                        "phase": {"type": "string"},
                        "conditions": {"type": "array", "items": {"type": "object", "properties": {
                            "type": {"type": "string"}, "status": {"type": "string"}}}}}}}}},
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.flag"}],
                "additionalPrinterColumns": [
                    {"name": "Flag", "type": "string", "jsonPath": ".spec.flag"},
                    {"name": "Crew", "type": "integer", "jsonPath": ".spec.crew", "priority": 1},
                    {"name": "Ready", "type": "string",
                        "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
            }],
        },
    })
}

/// The built-in kinds and ships.
pub(crate) fn scheme() -> Scheme {
    Scheme::builtin().with_crd(&ship_crd()).unwrap_or_else(|error| {
        // A scheme without ships makes every test that uses it fail at `kind`.
        assert_eq!(error.to_string(), "");
        Scheme::builtin()
    })
}

/// One kind of [`scheme`].
pub(crate) fn kind(group: &str, plural: &str) -> Arc<ResourceType> {
    let found = scheme().find(group, "v1", plural).cloned();
    assert!(found.is_some(), "{plural}");
    found.unwrap_or_else(|| kind(group, plural))
}

/// The kind of ships.
pub(crate) fn ship() -> Arc<ResourceType> {
    kind("sea.example.com", "ships")
}
