//! From a CustomResourceDefinition document to the types it makes the server serve.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::builtin::name_column;
use super::{
    Cell, Column, CompiledCrd, ResourceType, Rules, ScalePaths, SchemeError, group_version,
};
use crate::jsonpath::JsonPath;

/// Compiles all versions.
pub(super) fn compile(
    crd: &Value,
    definitions: &Arc<Map<String, Value>>,
) -> Result<CompiledCrd, SchemeError> {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str);
    let found = [text("/apiVersion"), text("/kind")].map(Option::unwrap_or_default).join("/");
    if found != "apiextensions.k8s.io/v1/CustomResourceDefinition" {
        return Err(SchemeError::NotACrd { found });
    }
    let missing = |field| SchemeError::Missing { field };
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let versions = versions.ok_or_else(|| missing("spec.versions"))?;
    let mut stored = versions.iter().filter(|version| version["storage"] == true);
    let one = missing("exactly one version with storage: true");
    let (Some(storage), None) = (stored.next(), stored.next()) else { return Err(one) };
    let compiled = |version| resource_type(crd, version, definitions).map(Arc::new);
    let storage = compiled(storage)?;
    let mut served = Vec::new();
    for version in versions.iter().filter(|version| version["served"] == true) {
        let is_storage = version["storage"] == true;
        served.push(if is_storage { Arc::clone(&storage) } else { compiled(version)? });
    }
    Ok(CompiledCrd { served, storage })
}

fn resource_type(
    crd: &Value,
    version: &Value,
    definitions: &Arc<Map<String, Value>>,
) -> Result<ResourceType, SchemeError> {
    let required = |from: &Value, pointer: &str, field: &'static str| {
        let text = from.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or(SchemeError::Missing { field })
    };
    let strings = |pointer: &str| -> Vec<String> {
        let list = crd.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let kind = required(crd, "/spec/names/kind", "spec.names.kind")?;
    let plural = required(crd, "/spec/names/plural", "spec.names.plural")?;
    let scope = required(crd, "/spec/scope", "spec.scope")?;
    let schema = version.pointer("/schema/openAPIV3Schema").filter(|s| s["type"] == "object");
    let field = "spec.versions[].schema.openAPIV3Schema with type object";
    let schema = schema.cloned().ok_or(SchemeError::Missing { field })?;
    refuse_unstructured(&kind, "", &schema)?;
    let group = required(crd, "/spec/group", "spec.group")?;
    let name = required(version, "/name", "spec.versions[].name")?;
    let storage = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let mut storage = storage;
    let storage = storage.find(|version| version["storage"] == true);
    let stored_as = storage.and_then(|version| version["name"].as_str()).unwrap_or(&name);
    let selectable = version.get("selectableFields").and_then(Value::as_array);
    let selectable = selectable.into_iter().flatten().filter_map(|f| f["jsonPath"].as_str());
    let singular = crd.pointer("/spec/names/singular").and_then(Value::as_str);
    Ok(ResourceType {
        builtin: None,
        stored_as: group_version(&group, stored_as),
        deprecation: deprecation(version, &group, &kind),
        scale: scale(version),
        group,
        version: name,
        plural,
        singular: singular.map_or_else(|| kind.to_lowercase(), str::to_owned),
        short_names: strings("/spec/names/shortNames"),
        categories: strings("/spec/names/categories"),
        namespaced: scope == "Namespaced",
        has_status: version.pointer("/subresources/status").is_some(),
        custom: true,
        storage: version["storage"] == true,
        columns: columns(version)?,
        selectable_fields: selectable.map(|p| p.trim_start_matches('.').to_owned()).collect(),
        rules: Rules::compile(&kind, &schema, Arc::clone(definitions))?,
        schema,
        kind,
    })
}

/// What upstream says of a deprecated version, unless the author has words of their own.
fn deprecation(version: &Value, group: &str, kind: &str) -> Option<String> {
    let deprecated = version["deprecated"] == true;
    let own = version["deprecationWarning"].as_str().map(str::to_owned);
    let name = version["name"].as_str().unwrap_or_default();
    deprecated.then(|| own.unwrap_or_else(|| format!("{group}/{name} {kind} is deprecated")))
}

fn scale(version: &Value) -> Option<ScalePaths> {
    let scale = version.pointer("/subresources/scale")?;
    let path = |key: &str| {
        let steps = scale[key].as_str()?.split('.').filter(|step| !step.is_empty());
        Some(steps.map(str::to_owned).collect::<Vec<_>>()).filter(|steps| !steps.is_empty())
    };
    Some(ScalePaths {
        spec: path("specReplicasPath")?,
        status: path("statusReplicasPath")?,
        selector: path("labelSelectorPath"),
    })
}

/// A schema must be structural: every node says its type, so that pruning and checks know it.
fn refuse_unstructured(kind: &str, at: &str, schema: &Value) -> Result<(), SchemeError> {
    const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];
    let typed = schema["type"].as_str().is_some_and(|name| TYPES.contains(&name));
    let free = ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"];
    let untyped = schema["type"].is_null() && free.iter().any(|flag| schema[*flag] == true);
    let items = schema["type"] != "array" || schema["items"].is_object();
    if !(typed || untyped) || !items {
        let (kind, field) = (kind.to_owned(), at.to_owned());
        return Err(SchemeError::Unstructured { kind, field });
    }
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        refuse_unstructured(kind, &format!("{at}.{name}"), child)?;
    }
    for (key, step) in [("items", "[*]"), ("additionalProperties", ".*")] {
        if let Some(child) = schema.get(key).filter(|child| child.is_object()) {
            refuse_unstructured(kind, &format!("{at}{step}"), child)?;
        }
    }
    Ok(())
}

fn columns(version: &Value) -> Result<Vec<Column>, SchemeError> {
    let own = version.get("additionalPrinterColumns").and_then(Value::as_array);
    let mut columns = vec![name_column()];
    for raw in own.into_iter().flatten() {
        columns.push(column(raw)?);
    }
    if columns.len() == 1 {
        let age = serde_json::json!({"name": "Age", "type": "date",
            "jsonPath": ".metadata.creationTimestamp"});
        columns.push(column(&age)?);
    }
    Ok(columns)
}

fn column(raw: &Value) -> Result<Column, SchemeError> {
    let text = |key: &str| raw[key].as_str().unwrap_or_default().to_owned();
    let (name, kind, path) = (text("name"), text("type"), text("jsonPath"));
    let parsed = JsonPath::parse(&path)
        .map_err(|source| SchemeError::Column { column: name.clone(), source })?;
    let description = match text("description") {
        empty if empty.is_empty() => {
            format!("Custom resource definition column (in JSONPath format): {path}")
        }
        given => given,
    };
    let cell = if kind == "date" { Cell::Age(parsed) } else { Cell::Path(parsed) };
    let priority = raw["priority"].as_i64().unwrap_or_default();
    Ok(Column { name, kind, format: text("format"), description, priority, cell })
}
