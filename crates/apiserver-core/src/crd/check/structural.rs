//! Structural schemas: every node says its type once, outside of logical junctors, so that
//! pruning and defaulting know what they look at; and defaults that fit.

use serde_json::{Map, Value, json};

use super::children;
use crate::status::Cause;
use crate::validate;

/// Where a node stands; decides how its missing type is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

fn flag(fields: &Map<String, Value>, key: &str) -> bool {
    fields.get(key) == Some(&Value::Bool(true))
}

fn type_of(fields: &Map<String, Value>) -> &str {
    fields.get("type").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn check(root: &Map<String, Value>, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    visit(root, Level::Root, at, &mut causes);
    causes
}

fn visit(schema: &Map<String, Value>, level: Level, at: &str, causes: &mut Vec<Cause>) {
    if let Some(items) = schema.get("items").and_then(Value::as_object) {
        visit(items, Level::Item, &format!("{at}.items"), causes);
    } else if type_of(schema) == "array" && !schema.contains_key("items") {
        causes.push(Cause::required(format!("{at}.items"), "must be specified"));
    }
    for (at, child) in children(schema, "properties", at) {
        if let Some(child) = child.as_object() {
            visit(child, Level::Field, &at, causes);
        }
    }
    if let Some(additional) = schema.get("additionalProperties") {
        let at = format!("{at}.additionalProperties");
        if level == Level::Root {
            causes.push(Cause::forbidden(&at, "must not be used at the root"));
        }
        if let Some(additional) = additional.as_object() {
            visit(additional, Level::Field, &at, causes);
        }
    }
    check_type(schema, level, at, causes);
    if level == Level::Root || flag(schema, "x-kubernetes-embedded-resource") {
        check_identity(schema, level, at, causes);
    }
    let pattern = flag(schema, "x-kubernetes-int-or-string");
    check_junctors(schema, schema, at, pattern, causes);
}

fn check_type(schema: &Map<String, Value>, level: Level, at: &str, causes: &mut Vec<Cause>) {
    let (name, field) = (type_of(schema), format!("{at}.type"));
    let embedded = flag(schema, "x-kubernetes-embedded-resource");
    let either = flag(schema, "x-kubernetes-int-or-string");
    let free = flag(schema, "x-kubernetes-preserve-unknown-fields");
    if embedded && name != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        causes.push(match name {
            "" => Cause::required(&field, why),
            name => Cause::invalid(&field, &json!(name), why),
        });
    } else if name.is_empty() && !either && !free {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        causes.push(Cause::required(&field, why));
    }
    if level == Level::Root && !name.is_empty() && name != "object" {
        causes.push(Cause::invalid(&field, &json!(name), "must be object at the root"));
    }
    if either && !name.is_empty() {
        let why = "must be empty if x-kubernetes-int-or-string is true";
        causes.push(Cause::invalid(&field, &json!(name), why));
    }
    for (on, key) in [(free, "preserve-unknown-fields"), (embedded, "embedded-resource")] {
        if either && on {
            let field = format!("{at}.x-kubernetes-{key}");
            let why = "must be false if x-kubernetes-int-or-string is true";
            causes.push(Cause::invalid(field, &json!(true), why));
        }
    }
    let declared = schema.get("properties").and_then(Value::as_object);
    if embedded && !free && declared.is_none_or(Map::is_empty) {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        causes.push(Cause::required(format!("{at}.properties"), why));
    }
}

/// `apiVersion`, `kind` and `metadata` are what they are everywhere.
fn check_identity(schema: &Map<String, Value>, level: Level, at: &str, causes: &mut Vec<Cause>) {
    for (at, child) in children(schema, "properties", at) {
        let Some(child) = child.as_object() else { continue };
        let name = at.rsplit('[').next().unwrap_or_default().trim_end_matches(']');
        let wanted = match name {
            "apiVersion" | "kind" => "string",
            "metadata" => "object",
            _ => continue,
        };
        if type_of(child) != wanted {
            let why = format!("must be {wanted}");
            causes.push(Cause::invalid(format!("{at}.type"), &json!(type_of(child)), &why));
        }
        let only_names = child.iter().all(|(key, value)| match key.as_str() {
            "type" | "description" => true,
            "properties" => value.as_object().is_some_and(|all| {
                all.keys().all(|key| ["name", "generateName"].contains(&key.as_str()))
            }),
            _ => false,
        });
        if name == "metadata" && level == Level::Root && !only_names {
            let why = "must not specify anything other than name and generateName, but metadata \
                       is implicitly specified";
            causes.push(Cause::forbidden(&at, why));
        }
    }
}

/// What may not stand inside allOf, anyOf, oneOf and not.
const OUTSIDE_ONLY: &[(&str, &str)] = &[
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("title", "must be empty to be structural"),
    ("type", "must be empty to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
];

/// `outside` is the node that the junctors of `schema` speak about. With `pattern`, an
/// int-or-string may say so in `anyOf` of its two types, also inside the first `allOf`.
fn check_junctors(
    schema: &Map<String, Value>,
    outside: &Map<String, Value>,
    at: &str,
    pattern: bool,
    causes: &mut Vec<Cause>,
) {
    let two_types = |list: &Value| *list == json!([{"type": "integer"}, {"type": "string"}]);
    for key in ["allOf", "anyOf", "oneOf"] {
        let Some(list) = schema.get(key) else { continue };
        if pattern && key == "anyOf" && two_types(list) {
            continue;
        }
        for (index, branch) in list.as_array().into_iter().flatten().enumerate() {
            let Some(branch) = branch.as_object() else { continue };
            if pattern && key == "allOf" && branch.get("anyOf").is_some_and(two_types) {
                continue;
            }
            check_branch(branch, outside, &format!("{at}.{key}[{index}]"), causes);
        }
    }
    if let Some(branch) = schema.get("not").and_then(Value::as_object) {
        check_branch(branch, outside, &format!("{at}.not"), causes);
    }
}

fn check_branch(
    branch: &Map<String, Value>,
    outside: &Map<String, Value>,
    at: &str,
    causes: &mut Vec<Cause>,
) {
    for (key, why) in OUTSIDE_ONLY {
        let set =
            branch.get(*key).is_some_and(|value| *value != json!(false) && *value != json!(""));
        if set {
            causes.push(Cause::forbidden(format!("{at}.{key}"), why));
        }
    }
    for (at, child) in children(branch, "properties", at) {
        let name = at.rsplit('[').next().unwrap_or_default().trim_end_matches(']').to_owned();
        if name == "metadata" {
            causes.push(Cause::forbidden(&at, "must not be specified in a nested context"));
        }
        let declared = outside.get("properties").and_then(|all| all.get(&name));
        match (declared.and_then(Value::as_object), child.as_object()) {
            (Some(outside), Some(child)) => check_branch(child, outside, &at, causes),
            (None, Some(_)) => {
                let field = at.split(".allOf[").next().unwrap_or(&at);
                let field = field.split(".anyOf[").next().unwrap_or(field);
                let field = field.split(".oneOf[").next().unwrap_or(field);
                let field = field.split(".not.").next().unwrap_or(field);
                let field = format!("{field}.properties[{name}]");
                causes.push(Cause::required(field, &format!("because it is defined in {at}")));
            }
            _ => {}
        }
    }
    if let Some(items) = branch.get("items").and_then(Value::as_object) {
        let at = format!("{at}.items");
        if let Some(outside) = outside.get("items").and_then(Value::as_object) {
            check_branch(items, outside, &at, causes);
        }
    }
    check_junctors(branch, outside, at, false, causes);
}

/// Defaults must be what pruning would leave of them, and valid.
pub(super) fn check_defaults(root: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    visit_defaults(root, at, &mut causes);
    causes
}

fn visit_defaults(schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Some(fields) = schema.as_object() else { return };
    if let Some(default) = fields.get("default").filter(|default| !default.is_null()) {
        let field = format!("{at}.default");
        if validate::would_prune(schema, default) {
            causes.push(Cause::invalid(&field, default, "must not have unknown fields"));
        }
        for mut cause in validate::check_alone(schema, default) {
            cause.field = match cause.field.as_str() {
                "" => field.clone(),
                below => format!("{field}.{below}"),
            };
            causes.push(cause);
        }
    }
    for (at, child) in children(fields, "properties", at) {
        visit_defaults(child, &at, causes);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = fields.get(key) {
            visit_defaults(child, &format!("{at}.{key}"), causes);
        }
    }
}

/// Whether this is a type that schemas may name.
pub(super) fn is_known_type(name: &str) -> bool {
    TYPES.contains(&name)
}

pub(super) fn known_types() -> &'static [&'static str] {
    TYPES
}
