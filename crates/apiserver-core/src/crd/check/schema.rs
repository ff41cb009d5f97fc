//! What a schema may say at all: keywords, list types, patterns, rules.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{children, not_supported, rules, structural};
use crate::status::Cause;

/// The scalar types that keys of list maps may have.
const SCALARS: &[&str] = &["boolean", "integer", "number", "string"];

const LIST_TYPE: &str = "x-kubernetes-list-type";
const MAP_KEYS: &str = "x-kubernetes-list-map-keys";
const MAP_TYPE: &str = "x-kubernetes-map-type";

pub(super) fn check(root: &Map<String, Value>, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut costs = rules::Costs::default();
    let mut walk = Walk { causes: &mut causes, costs: &mut costs };
    walk.visit(root, at, 1);
    causes.extend(costs.verdict(at));
    causes
}

struct Walk<'a> {
    causes: &'a mut Vec<Cause>,
    costs: &'a mut rules::Costs,
}

fn text<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Walk<'_> {
    /// `times` is how often the node can occur in one object, as far as the schema limits it.
    fn visit(&mut self, schema: &Map<String, Value>, at: &str, times: u64) {
        self.check_keywords(schema, at);
        self.check_lists(schema, at);
        if let Some(rules) = schema.get("x-kubernetes-validations").and_then(Value::as_array) {
            rules::check(rules, schema, (at, times), self.causes, self.costs);
        }
        let one = |child: &Value| child.as_object().cloned();
        if let Some(child) = schema.get("additionalProperties").and_then(one) {
            let many = times.saturating_mul(rules::most_entries(schema));
            self.visit(&child, &format!("{at}.additionalProperties"), many);
        }
        for (at, child) in children(schema, "properties", at) {
            if let Some(child) = child.as_object() {
                self.visit(child, &at, times);
            }
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let branches = schema.get(key).and_then(Value::as_array).into_iter().flatten();
            for (index, branch) in branches.enumerate() {
                if let Some(branch) = branch.as_object() {
                    self.visit(branch, &format!("{at}.{key}[{index}]"), times);
                }
            }
        }
        if let Some(child) = schema.get("not").and_then(one) {
            self.visit(&child, &format!("{at}.not"), times);
        }
        if let Some(child) = schema.get("items").and_then(one) {
            let many = times.saturating_mul(rules::most_entries(schema));
            self.visit(&child, &format!("{at}.items"), many);
        }
    }

    fn check_keywords(&mut self, schema: &Map<String, Value>, at: &str) {
        for key in
            ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"]
        {
            if schema.get(key).is_some_and(|value| !value.is_null() && *value != json!("")) {
                let field = format!("{at}.{key}");
                self.causes.push(Cause::forbidden(field, &format!("{key} is not supported")));
            }
        }
        let (name, field) = (text(schema, "type"), format!("{at}.type"));
        if name == "null" {
            let why = "type cannot be set to null, use nullable as an alternative";
            self.causes.push(Cause::forbidden(&field, why));
        } else if !name.is_empty() && !structural::is_known_type(name) {
            self.causes.push(not_supported(&field, &json!(name), structural::known_types()));
        }
        if schema.get("items").is_some_and(Value::is_array) {
            let why = "items must be a schema object and not an array";
            self.causes.push(Cause::forbidden(format!("{at}.items"), why));
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let why =
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.causes.push(Cause::forbidden(format!("{at}.uniqueItems"), why));
        }
        let declared = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties").filter(|others| **others != json!(true));
        if declared.is_some_and(|all| !all.is_empty()) && others.is_some() {
            let why = "additionalProperties and properties are mutual exclusive";
            self.causes.push(Cause::forbidden(format!("{at}.additionalProperties"), why));
        }
        let preserve = "x-kubernetes-preserve-unknown-fields";
        if schema.get(preserve) == Some(&Value::Bool(false)) {
            let field = format!("{at}.{preserve}");
            self.causes.push(Cause::invalid(field, &json!(false), "must be true or undefined"));
        }
        let pattern = text(schema, "pattern");
        if let Err(error) = Regex::new(pattern) {
            let why = format!(
                "must be a valid regular expression, but isn't: {}",
                as_go(&error, pattern)
            );
            self.causes.push(Cause::invalid(format!("{at}.pattern"), &json!(pattern), &why));
        }
    }

    fn demand_type(&mut self, schema: &Map<String, Value>, at: &str, wanted: &str, key: &str) {
        let found = text(schema, "type");
        if found == wanted {
            return;
        }
        let (why, field) =
            (format!("must be {wanted} if {key} is specified"), format!("{at}.type"));
        self.causes.push(match found {
            "" => Cause::required(field, &why),
            found => Cause::invalid(field, &json!(found), &why),
        });
    }

    fn check_lists(&mut self, schema: &Map<String, Value>, at: &str) {
        if let Some(kind) = schema.get(MAP_TYPE).and_then(Value::as_str) {
            self.demand_type(schema, at, "object", MAP_TYPE);
            if !["atomic", "granular"].contains(&kind) {
                let field = format!("{at}.{MAP_TYPE}");
                self.causes.push(not_supported(&field, &json!(kind), &["atomic", "granular"]));
            }
        }
        let kind = schema.get(LIST_TYPE).and_then(Value::as_str);
        if let Some(kind) = kind {
            self.demand_type(schema, at, "array", LIST_TYPE);
            if !["atomic", "set", "map"].contains(&kind) {
                let field = format!("{at}.{LIST_TYPE}");
                self.causes.push(not_supported(&field, &json!(kind), &["atomic", "set", "map"]));
            }
        }
        let keys = schema.get(MAP_KEYS).and_then(Value::as_array).map(Vec::as_slice);
        let keys = keys.unwrap_or_default();
        if !keys.is_empty() && kind != Some("map") {
            let (why, field) = (
                "must be map if x-kubernetes-list-map-keys is non-empty",
                format!("{at}.{LIST_TYPE}"),
            );
            self.causes.push(match kind {
                None => Cause::required(field, why),
                Some(kind) => Cause::invalid(field, &json!(kind), why),
            });
        }
        match (kind, schema.get("items").and_then(Value::as_object)) {
            (Some("map"), items) => self.check_map(keys, items, at),
            (Some("set"), Some(items)) => self.check_set(items, at),
            _ => {}
        }
    }

    fn check_map(&mut self, keys: &[Value], items: Option<&Map<String, Value>>, at: &str) {
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            self.causes.push(Cause::required(format!("{at}.{MAP_KEYS}"), why));
        }
        let Some(items) = items else {
            let why = "must have a schema if x-kubernetes-list-type is map";
            self.causes.push(Cause::required(format!("{at}.items"), why));
            return;
        };
        if text(items, "type") != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            let (field, found) = (format!("{at}.items.type"), &json!(text(items, "type")));
            self.causes.push(Cause::invalid(field, found, why));
        }
        let mut seen = std::collections::BTreeSet::new();
        for (index, key) in keys.iter().enumerate() {
            let name = key.as_str().unwrap_or_default();
            if !seen.insert(name) {
                self.causes.push(Cause::duplicate(format!("{at}.{MAP_KEYS}[{index}]"), key));
            }
            let declared = items.get("properties").and_then(|all| all.get(name));
            let Some(declared) = declared.and_then(Value::as_object) else {
                let why = "entries must all be names of item properties";
                self.causes.push(Cause::invalid(format!("{at}.{MAP_KEYS}[{index}]"), key, why));
                continue;
            };
            self.check_key(items, name, declared, &format!("{at}.items.properties[{name}]"));
        }
    }

    fn check_key(
        &mut self,
        items: &Map<String, Value>,
        name: &str,
        declared: &Map<String, Value>,
        at: &str,
    ) {
        let kind = text(declared, "type");
        if !SCALARS.contains(&kind)
            && declared.get("x-kubernetes-int-or-string") != Some(&json!(true))
        {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            self.causes.push(Cause::invalid(format!("{at}.type"), &json!(kind), why));
        }
        let required = items.get("required").and_then(Value::as_array);
        let required = required.is_some_and(|all| all.iter().any(|one| *one == *name));
        if !required && declared.get("default").is_none_or(Value::is_null) {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default \
                       or be a required property";
            self.causes.push(Cause::required(format!("{at}.default"), why));
        }
        if declared.get("nullable") == Some(&json!(true)) {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            self.causes.push(Cause::forbidden(format!("{at}.nullable"), why));
        }
    }

    fn check_set(&mut self, items: &Map<String, Value>, at: &str) {
        if items.get("nullable") == Some(&json!(true)) {
            let why = "cannot be nullable when x-kubernetes-list-type is set";
            self.causes.push(Cause::forbidden(format!("{at}.items.nullable"), why));
        }
        let key = match text(items, "type") {
            "object" => MAP_TYPE,
            "array" => LIST_TYPE,
            _ => return,
        };
        let default = if key == LIST_TYPE { "atomic" } else { "" };
        let found = items.get(key).cloned().unwrap_or_default();
        if found.as_str().unwrap_or(default) != "atomic" {
            let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
            self.causes.push(Cause::invalid(format!("{at}.items.{key}"), &found, why));
        }
    }
}

/// Go's words for the commonest mistakes in a pattern; else ours.
fn as_go(error: &regex::Error, pattern: &str) -> String {
    let ours = error.to_string();
    let last = ours.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let open = pattern.rfind('[').map_or(pattern, |at| &pattern[at..]);
    match last {
        "unclosed character class" => format!("error parsing regexp: missing closing ]: `{open}`"),
        "unclosed group" => format!("error parsing regexp: missing closing ): `{pattern}`"),
        "unopened group" => format!("error parsing regexp: unexpected ): `{pattern}`"),
        other => format!("error parsing regexp: {other}: `{pattern}`"),
    }
}
