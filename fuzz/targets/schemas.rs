//! Schemas and their CEL rules: a definition is refused, or serves objects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let Some((first, second)) = fuzz::halves(data) else { return };
    let (Ok(rule), Ok(value)) = (std::str::from_utf8(first), serde_json::from_slice::<Value>(second)) else { return };
    let spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"text": {"type": "string"}, "list": {"type": "array", "items": {"type": "integer"}}},
        "x-kubernetes-validations": [{"rule": rule}]});
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.fuzz.example"},
        "spec": {"group": "fuzz.example", "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "properties": {"spec": spec}}}}]},
    });
    let Ok(scheme) = fuzz::scheme().clone().with_crd(&crd) else { return };
    let rt = scheme.find("fuzz.example", "v1", "things").expect("it was taken");
    let thing = json!({"apiVersion": "fuzz.example/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": value});
    let _ = fuzz::made(rt, thing);
});
