//! OpenAPI v3 as kubectl needs it: `explain` reads schemas and paths, and whether the server
//! validates fields itself is found in the parameters of PATCH.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use fleetwright_apiserver_kinds::kinds::group_rank;
use fleetwright_apiserver_kinds::schemas;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::scheme::{ResourceType, Scheme};
use crate::validate::OBJECT_META;

const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const REFERENCE: &str = "#/components/schemas/";

/// All OpenAPI v3 documents of a scheme. Building takes some milliseconds: do it once per scheme.
#[derive(Debug, Clone)]
pub struct OpenApi {
    index: Value,
    documents: BTreeMap<(String, String), Arc<OpenApiDocument>>,
}

/// The document of one group and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenApiDocument {
    /// JSON.
    pub body: Vec<u8>,
    /// SHA-256 of the body, upper-case hex: in the index, and fit for an ETag.
    pub hash: String,
}

impl OpenApi {
    /// Builds all documents.
    #[must_use]
    pub fn build(scheme: &Scheme) -> Self {
        // Those of the built-in kinds are the same for all clusters, and the largest.
        static BUILTIN: OnceLock<OpenApi> = OnceLock::new();
        let builtin = |group: &str| group_rank(group).is_some();
        let shared = BUILTIN.get_or_init(|| {
            let nothing = Self { index: json!({"paths": {}}), documents: BTreeMap::new() };
            nothing.extended(&Scheme::builtin(), builtin)
        });
        shared.extended(scheme, |group| !builtin(group))
    }

    /// These documents, with those of the groups that `changed` names made anew from `scheme`.
    #[must_use]
    pub fn extended(&self, scheme: &Scheme, changed: impl Fn(&str) -> bool) -> Self {
        let mut made = self.clone();
        for (group, versions) in scheme.group_versions() {
            for version in versions.into_iter().filter(|_| changed(group)) {
                let body = document(scheme, group, version).to_string().into_bytes();
                let hash = hash(&body);
                let path = match group {
                    "" => format!("api/{version}"),
                    group => format!("apis/{group}/{version}"),
                };
                let url = format!("/openapi/v3/{path}?hash={hash}");
                made.index["paths"][path] = json!({"serverRelativeURL": url});
                let key = (group.to_owned(), version.to_owned());
                made.documents.insert(key, Arc::new(OpenApiDocument { body, hash }));
            }
        }
        made
    }

    /// `/openapi/v3`. Its URLs are relative to the server's root: a cluster that is served below
    /// a prefix must put the prefix in front of them.
    #[must_use]
    pub fn index(&self) -> &Value {
        &self.index
    }

    /// `/openapi/v3/api/v1` and `/openapi/v3/apis/GROUP/VERSION`.
    #[must_use]
    pub fn document(&self, group: &str, version: &str) -> Option<&OpenApiDocument> {
        self.documents.get(&(group.to_owned(), version.to_owned())).map(Arc::as_ref)
    }
}

fn hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |mut out, byte| {
        out.push_str(&format!("{byte:02X}"));
        out
    })
}

fn document(scheme: &Scheme, group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for rt in scheme.types().filter(|rt| rt.group == group && rt.version == version) {
        let name = schema_name(rt);
        add_paths(rt, &name, &mut paths);
        schemas.insert(format!("{name}List"), list_schema(rt, &name));
        schemas.insert(name, object_schema(rt));
    }
    add_referenced(scheme, &mut schemas);
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths, "components": {"schemas": schemas}})
}

/// The reversed group, version and kind: `dev.fleetwright.v1alpha1.ManagedCluster`.
fn schema_name(rt: &ResourceType) -> String {
    if let Some(kind) = rt.builtin {
        return kind.definition();
    }
    let mut parts: Vec<&str> = rt.group.split('.').rev().collect();
    parts.extend([rt.version.as_str(), rt.kind.as_str()]);
    parts.join(".")
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("{REFERENCE}{name}")})
}

fn gvk(rt: &ResourceType, kind: &str) -> Value {
    json!({"group": rt.group, "version": rt.version, "kind": kind})
}

fn object_schema(rt: &ResourceType) -> Value {
    let mut schema = match rt.builtin {
        Some(kind) => schemas::published(&kind.definition(), &rt.schema),
        None => rt.schema.clone(),
    };
    schema["x-kubernetes-group-version-kind"] = json!([gvk(rt, &rt.kind)]);
    if rt.custom {
        schema["properties"]["apiVersion"] = json!({"type": "string", "description":
            "The group and version of this object's schema."});
        schema["properties"]["kind"] =
            json!({"type": "string", "description": "The kind of this object."});
        schema["properties"]["metadata"] = json!({"allOf": [reference(OBJECT_META)],
            "description": "Standard object's metadata."});
    }
    schema
}

fn list_schema(rt: &ResourceType, name: &str) -> Value {
    json!({
        "type": "object",
        "description": format!("{} is a list of {}.", rt.list_kind(), rt.kind),
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": reference(LIST_META),
            "items": {"type": "array", "items": reference(name)},
        },
        "x-kubernetes-group-version-kind": [gvk(rt, &rt.list_kind())],
    })
}

/// Adds what the schemas refer to, and what that refers to.
fn add_referenced(scheme: &Scheme, made: &mut Map<String, Value>) {
    let mut waiting: Vec<String> = vec![STATUS.to_owned()];
    made.values().for_each(|schema| collect_references(schema, &mut waiting));
    while let Some(name) = waiting.pop() {
        if let (false, Some(schema)) = (made.contains_key(&name), scheme.definitions().get(&name)) {
            collect_references(schema, &mut waiting);
            let published = schemas::published(&name, schema);
            made.insert(name, published);
        }
    }
}

fn collect_references(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let target = fields.get("$ref").and_then(Value::as_str);
            into.extend(target.and_then(|at| at.strip_prefix(REFERENCE)).map(str::to_owned));
            fields.values().for_each(|value| collect_references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
        _ => {}
    }
}

fn add_paths(rt: &ResourceType, schema: &str, paths: &mut Map<String, Value>) {
    let base = match rt.group.as_str() {
        "" => format!("/api/{}", rt.version),
        group => format!("/apis/{group}/{}", rt.version),
    };
    let scope = if rt.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{base}{scope}/{}", rt.plural);
    let item = format!("{collection}/{{name}}");
    let list = format!("{schema}List");
    let mut shared = vec![];
    if rt.namespaced {
        shared.push(path_parameter("namespace"));
        if rt.verbs().contains(&"list") {
            let all = json!({"get": operation(rt, "list", &list)});
            paths.insert(format!("{base}/{}", rt.plural), all);
        }
    }
    if !rt.verbs().contains(&"watch") {
        // A review or a binding: nothing but the request.
        let post = json!({"parameters": shared, "post": operation(rt, "post", schema)});
        paths.insert(collection, post);
        return;
    }
    let mut of_collection = json!({"parameters": shared, "get": operation(rt, "list", &list),
        "post": operation(rt, "post", schema)});
    if rt.verbs().contains(&"deletecollection") {
        of_collection["delete"] = operation(rt, "deletecollection", STATUS);
    }
    paths.insert(collection, of_collection);
    shared.push(path_parameter("name"));
    let changes = json!({"parameters": shared, "get": operation(rt, "get", schema),
        "put": operation(rt, "put", schema), "patch": operation(rt, "patch", schema)});
    for sub in rt.subresources().iter().filter(|sub| sub.name == "status") {
        paths.insert(format!("{item}/{}", sub.name), changes.clone());
    }
    let mut of_item = changes;
    of_item["delete"] = operation(rt, "delete", STATUS);
    paths.insert(item, of_item);
}

fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
}

/// The media type in which clients ask for [`V2_PROTOBUF`].
pub const V2_PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// OpenAPI v2 without any kind: all are in v3. Clients that insist on v2 (kubectl, when it applies
/// a `List`) then leave the checks to the server instead of giving up. `openapi.v2.Document` with
/// `swagger` (field 1) and `info` (field 2: `title` 1, `version` 2).
pub const V2_PROTOBUF: &[u8] = b"\x0a\x032.0\x12\x14\x0a\x0bFleetwright\x12\x05empty";

/// The same as JSON.
#[must_use]
pub fn v2_json() -> Value {
    json!({"swagger": "2.0", "info": {"title": "Fleetwright", "version": "empty"}, "paths": {}})
}

fn operation(rt: &ResourceType, action: &str, answer: &str) -> Value {
    let parameters: &[&str] = match action {
        "get" => &["resourceVersion"],
        "list" => &[
            "continue",
            "fieldSelector",
            "labelSelector",
            "limit",
            "resourceVersion",
            "resourceVersionMatch",
            "sendInitialEvents",
            "timeoutSeconds",
            "watch",
            "allowWatchBookmarks",
        ],
        "delete" | "deletecollection" => &["dryRun", "gracePeriodSeconds", "propagationPolicy"],
        _ => &["dryRun", "fieldManager", "fieldValidation"],
    };
    let parameter = |name: &&str| {
        let kind = match *name {
            "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
            "watch" | "allowWatchBookmarks" | "sendInitialEvents" => "boolean",
            _ => "string",
        };
        json!({"name": name, "in": "query", "schema": {"type": kind}})
    };
    let parameters: Vec<Value> = parameters.iter().map(parameter).collect();
    let content = json!({"application/json": {"schema": reference(answer)}});
    let mut out = json!({
        "operationId": format!("{action}{}{}", rt.version, rt.kind),
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk(rt, &rt.kind),
    });
    let bodies: &[&str] = match action {
        "post" | "put" => &["application/json", "application/yaml"],
        "patch" if rt.custom => &[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ],
        "patch" => &[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ],
        _ => &[],
    };
    if !bodies.is_empty() {
        let schema = if action == "patch" { json!({"type": "object"}) } else { reference(answer) };
        let one = |media: &&str| ((*media).to_owned(), json!({"schema": schema}));
        let content: Map<String, Value> = bodies.iter().map(one).collect();
        out["requestBody"] = json!({"required": true, "content": content});
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(group: &str) -> Value {
        let openapi = OpenApi::build(&Scheme::builtin());
        let found = openapi.document(group, "v1").map(|document| document.body.clone());
        serde_json::from_slice(&found.unwrap_or_default()).unwrap_or_default()
    }

    #[test]
    fn the_index_leads_to_documents_by_hash() {
        let openapi = OpenApi::build(&Scheme::builtin());
        let hash = openapi.document("", "v1").map(|d| d.hash.clone()).unwrap_or_default();
        assert_eq!(hash.len(), 64);
        let url = &openapi.index()["paths"]["api/v1"]["serverRelativeURL"];
        assert_eq!(url, &json!(format!("/openapi/v3/api/v1?hash={hash}")));
        assert!(openapi.document("nosuch.example.com", "v1").is_none());
    }

    #[test]
    fn every_reference_in_a_document_leads_somewhere() {
        for group in ["", "admissionregistration.k8s.io", "apps", "networking.k8s.io", "policy"] {
            let document = parsed(group);
            let mut names = Vec::new();
            collect_references(&document, &mut names);
            assert!(!names.is_empty());
            for name in names {
                let found = &document["components"]["schemas"][&name];
                assert!(found.is_object(), "{name}");
            }
        }
    }

    #[test]
    fn patches_announce_that_the_server_validates_fields() {
        let document = parsed("coordination.k8s.io");
        let path = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}";
        let patch = &document["paths"][path]["patch"];
        let kind = json!({"group": "coordination.k8s.io", "version": "v1", "kind": "Lease"});
        assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
        let names: Vec<&Value> =
            patch["parameters"].as_array().into_iter().flatten().map(|p| &p["name"]).collect();
        assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation"]);
        let schema = &document["components"]["schemas"]["io.k8s.api.coordination.v1.Lease"];
        let text = schema["properties"]["spec"]["allOf"][0]["$ref"].clone();
        assert_eq!(text, json!("#/components/schemas/io.k8s.api.coordination.v1.LeaseSpec"));
    }
}
