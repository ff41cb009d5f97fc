//! Bringing an object into the schema's shape: pruning, nulls, defaults.

use serde_json::{Map, Value};

use super::OBJECT_META;
use crate::scheme::{ResourceType, Rules};
use crate::way::Way;

/// Follows `$ref`, also where it hides in an `allOf` of one (how a described reference looks).
pub(super) fn resolve<'a>(rules: &'a Rules, mut schema: &'a Value) -> &'a Value {
    // Chains of references are short; the limit only guards against a cycle.
    for _ in 0..8 {
        let alone = schema.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1);
        let holder = alone.and_then(|all| all.first()).unwrap_or(schema);
        let target = holder.get("$ref").and_then(Value::as_str);
        let target = target.and_then(|at| at.rsplit('/').next());
        match target.and_then(|name| rules.definitions.get(name)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

/// The schema of one field of an object: declared, or that of all other fields.
fn field_schema<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let declared = schema.get("properties").and_then(|fields| fields.get(name));
    declared.or_else(|| schema.get("additionalProperties").filter(|other| other.is_object()))
}

/// Unknown fields beyond these are removed without a word.
const MOST_UNKNOWN: usize = 100;

struct Pruner<'a> {
    rules: &'a Rules,
    custom: bool,
    unknown: Vec<String>,
}

pub(super) fn prune(rt: &ResourceType, object: &mut Value) -> Vec<String> {
    let rules = rt.rules();
    let mut pruner = Pruner { rules, custom: rt.custom, unknown: Vec::new() };
    if !rt.custom {
        pruner.visit(&rt.schema, object, Way::Start(""));
        return pruner.unknown;
    }
    // A CRD's schema does not describe the metadata, so this is checked apart.
    let Value::Object(fields) = object else {
        return Vec::new();
    };
    let keep: Vec<_> = ["apiVersion", "kind", "metadata"]
        .into_iter()
        .filter_map(|key| fields.remove(key).map(|value| (key, value)))
        .collect();
    pruner.visit(&rt.schema, object, Way::Start(""));
    let mut metadata = Pruner { rules, custom: false, unknown: Vec::new() };
    for (key, mut value) in keep {
        if let ("metadata", Some(schema)) = (key, rules.definitions.get(OBJECT_META)) {
            metadata.visit(schema, &mut value, Way::Start("metadata"));
        }
        object[key] = value;
    }
    metadata.unknown.append(&mut pruner.unknown);
    metadata.unknown.sort();
    metadata.unknown
}

/// Prunes by a schema without references.
pub(super) fn prune_alone(schema: &Value, value: &mut Value) -> Vec<String> {
    let mut pruner = Pruner { rules: &Rules::none(), custom: true, unknown: Vec::new() };
    pruner.visit(schema, value, Way::Start(""));
    pruner.unknown
}

impl Pruner<'_> {
    fn visit(&mut self, schema: &Value, value: &mut Value, path: Way<'_>) {
        let schema = resolve(self.rules, schema);
        match value {
            Value::Array(items) => {
                let Some(item_schema) = schema.get("items") else {
                    return;
                };
                for (index, item) in items.iter_mut().enumerate() {
                    self.visit(item_schema, item, path.item(index));
                }
            }
            Value::Object(fields) => self.visit_fields(schema, fields, path),
            _ => {}
        }
    }

    fn visit_fields(&mut self, schema: &Value, fields: &mut Map<String, Value>, path: Way<'_>) {
        let described = schema.get("properties").is_some()
            || schema.get("additionalProperties").is_some_and(Value::is_object);
        let free = flag(schema, "x-kubernetes-preserve-unknown-fields")
            || schema.get("additionalProperties") == Some(&Value::Bool(true))
            || (!self.custom && !described);
        let embedded = flag(schema, "x-kubernetes-embedded-resource");
        let names: Vec<String> = fields.keys().cloned().collect();
        for name in names {
            let at = path.field(&name);
            match (field_schema(schema, &name), fields.get_mut(&name)) {
                (Some(child), Some(value)) => self.visit(child, value, at),
                _ if free => {}
                _ if embedded && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) => {}
                _ => {
                    fields.remove(&name);
                    if self.unknown.len() < MOST_UNKNOWN {
                        self.unknown.push(at.to_string());
                    }
                }
            }
        }
    }
}

pub(super) fn apply_defaults(rt: &ResourceType, object: &mut Value) {
    let rules = rt.rules();
    drop_nulls(rules, &rt.schema, object);
    fill(rules, &rt.schema, object);
}

/// `creationTimestamp: null` and the like, which Go clients send.
pub(crate) fn drop_metadata_nulls(rt: &ResourceType, metadata: &mut Value) {
    if let Some(schema) = rt.rules().definitions.get(OBJECT_META) {
        drop_nulls(rt.rules(), schema, metadata);
    }
}

/// Null means absent, unless the schema says `nullable`.
fn drop_nulls(rules: &Rules, schema: &Value, value: &mut Value) {
    let schema = resolve(rules, schema);
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| match field_schema(schema, name) {
                Some(child) => !value.is_null() || flag(resolve(rules, child), "nullable"),
                None => true,
            });
            for (name, value) in fields {
                if let Some(child) = field_schema(schema, name) {
                    drop_nulls(rules, child, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = schema.get("items") {
                items.iter_mut().for_each(|item| drop_nulls(rules, child, item));
            }
        }
        _ => {}
    }
}

fn fill(rules: &Rules, schema: &Value, value: &mut Value) {
    let schema = resolve(rules, schema);
    match value {
        Value::Object(fields) => {
            let declared = schema.get("properties").and_then(Value::as_object);
            for (name, child) in declared.into_iter().flatten() {
                let nullable = flag(child, "nullable");
                let absent = fields.get(name).is_none_or(|now| now.is_null() && !nullable);
                if let (true, Some(default)) = (absent, child.get("default")) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                if let Some(child) = field_schema(schema, name) {
                    fill(rules, child, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = schema.get("items") {
                items.iter_mut().for_each(|item| fill(rules, child, item));
            }
        }
        _ => {}
    }
}

/// Whether a field of a built-in kind's root maps names to texts, as `data` of a ConfigMap does.
pub(crate) fn is_text_map(rt: &ResourceType, name: &str) -> bool {
    let field = rt.schema.get("properties").and_then(|fields| fields.get(name));
    let values = field.and_then(|field| resolve(rt.rules(), field).get("additionalProperties"));
    values.is_some_and(|values| resolve(rt.rules(), values).get("type") == Some(&"string".into()))
}
