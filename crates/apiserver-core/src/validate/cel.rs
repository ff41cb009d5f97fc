//! `x-kubernetes-validations`, compiled once per kind and evaluated by kube-cel.
//!
//! kube-cel pairs list items with their old selves by index. Kubernetes pairs them by the keys
//! of the list (`x-kubernetes-list-type: map`) and not at all in other lists. So rules inside list
//! items are cut out here into trees of their own, and each item is evaluated with its right pair.

use std::collections::BTreeMap;

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, compile_schema, validate_compiled};
use serde_json::Value;

use super::{Findings, lookup, ratchet};
use crate::scheme::ResourceType;
use crate::status::Cause;

const RULES: &str = "x-kubernetes-validations";

/// The rules of a schema outside of list items, and the lists whose items have rules.
#[derive(Debug)]
pub(crate) struct RuleTree {
    own: CompiledSchema,
    lists: Vec<ListRules>,
}

#[derive(Debug)]
struct ListRules {
    /// How to get from the tree's value to the list.
    way: Vec<Step>,
    /// The keys of a list map; None for other lists.
    keys: Option<Vec<String>>,
    items: RuleTree,
}

#[derive(Debug, Clone)]
enum Step {
    Field(String),
    EachValue,
}

impl RuleTree {
    /// None if the schema has no rules.
    ///
    /// # Errors
    /// The schema path and message of the first rule that does not compile.
    pub(crate) fn compile(schema: &Value) -> Result<Option<Self>, (String, String)> {
        if !has_rules(schema) {
            return Ok(None);
        }
        let mut stripped = schema.clone();
        let mut lists = Vec::new();
        cut_lists(&mut stripped, &mut Vec::new(), &mut lists)?;
        let own = compile_schema(&stripped);
        refuse_broken_rules("", &own)?;
        Ok(Some(Self { own, lists }))
    }

    fn evaluate(
        &self,
        value: &Value,
        old: Option<&Value>,
        at: &str,
        out: &mut Vec<(String, ValidationError)>,
    ) {
        if let Err(errors) = validate_compiled(&self.own, value, old) {
            out.extend(errors.into_iter().map(|error| (prefixed(at, &error.field_path), error)));
        }
        for list in &self.lists {
            for (path, value, old) in walk(&list.way, value, old, at.to_owned()) {
                let Value::Array(items) = value else { continue };
                for (index, item) in items.iter().enumerate() {
                    let pair = list.keys.as_ref().and_then(|keys| pair(item, old?, keys));
                    list.items.evaluate(item, pair, &format!("{path}[{index}]"), out);
                }
            }
        }
    }
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.get(RULES).is_some_and(Value::is_array) || fields.values().any(has_rules)
        }
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

/// Moves the rules below `items` into trees of their own.
fn cut_lists(
    schema: &mut Value,
    way: &mut Vec<Step>,
    lists: &mut Vec<ListRules>,
) -> Result<(), (String, String)> {
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).cloned();
    if let Some(items) = schema.get_mut("items") {
        let place = |(at, why)| (format!("[*]{at}"), why);
        if let Some(tree) = RuleTree::compile(items).map_err(place)? {
            let text = |key: Value| key.as_str().map(str::to_owned);
            let keys = keys.map(|keys| keys.into_iter().filter_map(text).collect());
            lists.push(ListRules { way: way.clone(), keys, items: tree });
            remove_rules(items);
        }
    }
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        for (name, child) in fields {
            way.push(Step::Field(name.clone()));
            cut_lists(child, way, lists).map_err(|(at, why)| (format!(".{name}{at}"), why))?;
            way.pop();
        }
    }
    if let Some(child) = schema.get_mut("additionalProperties").filter(|s| s.is_object()) {
        way.push(Step::EachValue);
        cut_lists(child, way, lists).map_err(|(at, why)| (format!(".*{at}"), why))?;
        way.pop();
    }
    Ok(())
}

fn remove_rules(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get(RULES).is_some_and(Value::is_array) {
                fields.remove(RULES);
            }
            fields.values_mut().for_each(remove_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_rules),
        _ => {}
    }
}

/// Registration refuses rules that do not compile, as upstream does.
fn refuse_broken_rules(at: &str, node: &CompiledSchema) -> Result<(), (String, String)> {
    if let Some(error) = node.compilation_errors().first() {
        return Err((at.to_owned(), error.to_string()));
    }
    let sorted: BTreeMap<_, _> = node.properties.iter().collect();
    for (name, child) in sorted {
        refuse_broken_rules(&format!("{at}.{name}"), child)?;
    }
    for (child, step) in [(&node.items, "[*]"), (&node.additional_properties, ".*")] {
        if let Some(child) = child {
            refuse_broken_rules(&format!("{at}{step}"), child)?;
        }
    }
    let mut branches = node.all_of.iter().chain(&node.one_of).chain(&node.any_of);
    branches.try_for_each(|child| refuse_broken_rules(at, child))
}

/// All places a way leads to: path, value and old value.
fn walk<'a>(
    way: &[Step],
    value: &'a Value,
    old: Option<&'a Value>,
    at: String,
) -> Vec<(String, &'a Value, Option<&'a Value>)> {
    let Some((first, rest)) = way.split_first() else {
        return vec![(at, value, old)];
    };
    let below = |name: &str, child: &'a Value| {
        let old = old.and_then(|old| old.get(name));
        walk(rest, child, old, prefixed(&at, name))
    };
    match (first, value) {
        (Step::Field(name), _) => {
            value.get(name).map(|child| below(name, child)).unwrap_or_default()
        }
        (Step::EachValue, Value::Object(fields)) => {
            fields.iter().flat_map(|(name, child)| below(name, child)).collect()
        }
        (Step::EachValue, _) => Vec::new(),
    }
}

/// The old item with the same keys.
fn pair<'a>(item: &Value, old: &'a Value, keys: &[String]) -> Option<&'a Value> {
    let same = |old: &&Value| keys.iter().all(|key| old.get(key) == item.get(key));
    old.as_array()?.iter().find(same)
}

fn prefixed(at: &str, path: &str) -> String {
    match (at, path) {
        ("", path) => path.to_owned(),
        (at, "") => at.to_owned(),
        (at, path) => format!("{at}.{path}"),
    }
}

/// Evaluates all rules of a kind. Broken rules over unchanged values become warnings.
pub(super) fn check(rt: &ResourceType, object: &Value, old: Option<&Value>, into: &mut Findings) {
    let Some(tree) = &rt.rules().cel else { return };
    let mut errors = Vec::new();
    tree.evaluate(object, old, "", &mut errors);
    // kube-cel walks hash maps; sorting makes the answer the same each time.
    errors.sort_by(|(a, x), (b, y)| (a, &x.rule).cmp(&(b, &y.rule)));
    for (field, error) in errors {
        let cause = cause(&field, &error, object);
        let tolerated = error.kind == ErrorKind::ValidationFailure
            && old.is_some_and(|old| {
                ratchet::rule_saw_no_change([&error.rule, &field], &rt.schema, old, object)
            });
        if tolerated {
            into.warnings.push(format!("{field}: {}", cause.message));
        } else {
            into.causes.push(cause);
        }
    }
}

fn cause(field: &str, error: &ValidationError, object: &Value) -> Cause {
    let value = lookup(object, field).filter(|value| !value.is_object() && !value.is_array());
    match (error.reason.as_deref(), value) {
        (Some("FieldValueForbidden"), _) => Cause::forbidden(field, &error.message),
        (Some("FieldValueRequired"), _) => Cause::required(field, &error.message),
        (Some("FieldValueDuplicate"), Some(value)) => Cause::duplicate(field, value),
        (_, Some(value)) => Cause::invalid(field, value, &error.message),
        (_, None) => Cause::invalid_without_value(field, &error.message),
    }
}
