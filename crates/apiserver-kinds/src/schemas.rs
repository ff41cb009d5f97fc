//! The OpenAPI schemas of the built-in kinds, unpacked once in the life of the process.
//!
//! Made by `gen/schemas.py`; `data/NOTICE` says from what. A node is what OpenAPI v3 calls a schema, with Kubernetes'
//! extensions (`x-kubernetes-list-type`, `x-kubernetes-patch-merge-key`, …). A `$ref` to `#/components/schemas/NAME` may
//! have siblings, and there are no descriptions: most requests need none, so they are a file of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};

const SCHEMAS: &[u8] = include_bytes!("../data/schemas.json.deflate");
const DESCRIPTIONS: &[u8] = include_bytes!("../data/descriptions.json.deflate");
/// Both files are part of the program; the bound only keeps a broken one from eating memory.
const LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// What references point to.
pub const REFERENCE: &str = "#/components/schemas/";

/// All schemas by name, as `io.k8s.api.core.v1.Pod`.
#[must_use]
pub fn definitions() -> &'static Arc<Map<String, Value>> {
    static READ: OnceLock<Arc<Map<String, Value>>> = OnceLock::new();
    READ.get_or_init(|| Arc::new(unpack(SCHEMAS)))
}

/// For each name `[description, {field: description}]`.
fn descriptions() -> &'static Map<String, Value> {
    static READ: OnceLock<Map<String, Value>> = OnceLock::new();
    READ.get_or_init(|| unpack(DESCRIPTIONS))
}

/// The files are part of the program, so a broken one shows as a server without kinds, which the tests refuse.
pub(crate) fn unpack(packed: &[u8]) -> Map<String, Value> {
    let text = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, LIMIT_BYTES);
    serde_json::from_slice(&text.unwrap_or_default()).unwrap_or_default()
}

/// The definition of a built-in kind. Every group has its own DeleteOptions, and all are the same.
#[must_use]
pub fn definition_of(api_version: &str, kind: &str) -> Option<&'static str> {
    type Kinds = BTreeMap<(String, String), &'static str>;
    static KINDS: OnceLock<Kinds> = OnceLock::new();
    if kind == "DeleteOptions" {
        return Some("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
    }
    let kinds = KINDS.get_or_init(|| {
        let one = |(name, schema): (&'static String, &Value)| {
            let gvk = &schema["x-kubernetes-group-version-kind"][0];
            let text = |key: &str| gvk[key].as_str();
            let (group, version) = (text("group")?, text("version")?);
            let api_version = match group {
                "" => version.to_owned(),
                group => format!("{group}/{version}"),
            };
            Some(((api_version, text("kind")?.to_owned()), name.as_str()))
        };
        definitions().iter().filter_map(one).collect()
    });
    kinds.get(&(api_version.to_owned(), kind.to_owned())).copied()
}

/// What a field of a definition is for; empty if unknown.
#[must_use]
pub fn describe(definition: &str, field: &str) -> &'static str {
    let found = descriptions().get(definition).and_then(|both| both[1][field].as_str());
    found.unwrap_or_default()
}

/// The definition with its descriptions, as OpenAPI v3 publishes it: where a reference has siblings it moves into an
/// `allOf`.
#[must_use]
pub fn published(name: &str, schema: &Value) -> Value {
    let mut out = schema.clone();
    // Values of two types have a spelling of our own inside.
    let either = match schema.get("format").and_then(Value::as_str) {
        Some("int-or-string") => Some(json!([{"type": "integer"}, {"type": "string"}])),
        Some("quantity") => Some(json!([{"type": "string"}, {"type": "number"}])),
        _ => None,
    };
    if let (Some(either), true) = (either, schema.get("x-kubernetes-int-or-string").is_some()) {
        out = json!({"oneOf": either});
    }
    let texts = descriptions().get(name);
    if let Some(fields) = out.get_mut("properties").and_then(Value::as_object_mut) {
        for (field, node) in fields {
            if let Some(text) = texts.map(|both| &both[1][field]).filter(|text| text.is_string()) {
                node["description"] = text.clone();
            }
            spell_references(node);
        }
    }
    if let Some(text) = texts.map(|both| &both[0]).filter(|text| *text != "") {
        out["description"] = text.clone();
    }
    out
}

/// OpenAPI v3.0 allows nothing beside a `$ref`.
fn spell_references(node: &mut Value) {
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = node.get_mut(key).filter(|inner| inner.is_object()) {
            spell_references(inner);
        }
    }
    let Some(fields) = node.as_object_mut().filter(|fields| fields.len() > 1) else {
        return;
    };
    if let Some(target) = fields.remove("$ref") {
        fields.insert("allOf".to_owned(), json!([{"$ref": target}]));
    }
}

/// The definition a node refers to, or the node itself.
#[must_use]
pub fn resolve(node: &'static Value) -> &'static Value {
    let target = node.get("$ref").and_then(Value::as_str);
    let name = target.and_then(|target| target.strip_prefix(REFERENCE));
    name.and_then(|name| definitions().get(name)).unwrap_or(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_a_definition() {
        fn look(node: &Value, names: &mut Vec<String>) {
            match node {
                Value::Object(fields) => {
                    names.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    fields.values().for_each(|value| look(value, names));
                }
                Value::Array(items) => items.iter().for_each(|item| look(item, names)),
                _ => {}
            }
        }
        let mut names = Vec::new();
        definitions().values().for_each(|schema| look(schema, &mut names));
        assert!(names.len() > 800, "{}", names.len());
        for name in names {
            let name = name.strip_prefix(REFERENCE).unwrap_or_default();
            assert!(definitions().contains_key(name), "{name}");
        }
    }

    #[test]
    fn schemas_tell_how_lists_merge() {
        let pod = &definitions()["io.k8s.api.core.v1.PodSpec"]["properties"];
        assert_eq!(pod["containers"]["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(pod["containers"]["x-kubernetes-list-map-keys"], json!(["name"]));
        let deployment = &definitions()["io.k8s.api.apps.v1.DeploymentSpec"]["properties"];
        assert_eq!(deployment["strategy"]["x-kubernetes-patch-strategy"], "retainKeys");
    }

    #[test]
    fn published_schemas_are_described_and_keep_references_alone() {
        let name = "io.k8s.api.apps.v1.DeploymentSpec";
        let made = published(name, &definitions()[name]);
        let strategy = &made["properties"]["strategy"];
        let wanted = "The deployment strategy to use to replace existing pods with new ones.";
        assert_eq!(strategy["description"], wanted);
        let target = "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy";
        assert_eq!(strategy["allOf"], json!([{"$ref": target}]));
        assert!(strategy.get("$ref").is_none());
        assert_eq!(describe(name, "paused"), "Indicates that the deployment is paused.");
    }
}
