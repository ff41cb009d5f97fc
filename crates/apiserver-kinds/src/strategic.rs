//! Strategic merge patch: a merge patch that knows which lists are maps, and can be told to delete, replace and reorder.
//!
//! Which lists merge, and by which key, the schemas say (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`).
//! Directives: `$patch` (merge, replace, delete), `$retainKeys`, `$deleteFromPrimitiveList/FIELD`,
//! `$setElementOrder/FIELD` (k8s.io/apimachinery/pkg/util/strategicpatch).

use serde_json::{Map, Value};

use crate::schemas::{definitions, resolve};

mod lists;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";
/// Nesting beyond which a patch is refused; bodies are not deeper.
const DEPTH_LIMIT: usize = 128;

type Schema = Option<&'static Value>;
type Fields = Map<String, Value>;

/// Applies a patch to a copy of the object. The root of the object is the definition.
///
/// # Errors
/// Why the patch makes no sense, for people.
pub fn apply(definition: &str, object: &Value, patch: &Value) -> Result<Value, String> {
    let (Value::Object(original), Value::Object(patch)) = (object, patch) else {
        return Err("a strategic merge patch must be an object".to_owned());
    };
    let schema = definitions().get(definition);
    merge_fields(original.clone(), patch.clone(), schema, 0).map(Value::Object)
}

/// How a field of an object is patched.
struct FieldSchema {
    schema: Schema,
    merges: bool,
    replaces: bool,
    key: Option<&'static str>,
}

fn field_schema(schema: Schema, name: &str) -> FieldSchema {
    let node = schema.map(resolve).and_then(|node| {
        let declared = node.get("properties").and_then(|fields| fields.get(name));
        declared.or_else(|| node.get("additionalProperties").filter(|other| other.is_object()))
    });
    let text = |key: &str| node.and_then(|node| node.get(key)).and_then(Value::as_str);
    let strategy = text("x-kubernetes-patch-strategy").unwrap_or_default();
    FieldSchema {
        schema: node,
        merges: strategy.split(',').any(|one| one == "merge"),
        replaces: strategy.split(',').any(|one| one == "replace"),
        key: text("x-kubernetes-patch-merge-key"),
    }
}

fn merge_fields(
    mut original: Fields,
    mut patch: Fields,
    schema: Schema,
    depth: usize,
) -> Result<Fields, String> {
    if depth > DEPTH_LIMIT {
        return Err("the patch is nested too deeply".to_owned());
    }
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(Value::String(what)) => match what.as_str() {
            "replace" => return Ok(without_directives(patch)),
            "delete" => return Ok(Fields::new()),
            "merge" => {}
            other => return Err(format!("unknown patch type: {other}")),
        },
        Some(_) => return Err("unknown patch type".to_owned()),
    }
    retain_keys(&mut original, &mut patch)?;
    reorder(&mut original, &mut patch, schema, depth)?;
    for (name, change) in patch {
        let (name, deletes) = match name.strip_prefix(DELETE_FROM) {
            Some(name) => (name.to_owned(), true),
            None => (name, false),
        };
        if change.is_null() {
            original.remove(&name);
            continue;
        }
        let Some(now) = original.get_mut(&name) else {
            if !deletes {
                original.insert(name, plain(change));
            }
            continue;
        };
        let field = field_schema(schema, &name);
        match (now.take(), change) {
            (Value::Object(old), Value::Object(change)) if !field.replaces => {
                *now = Value::Object(merge_fields(old, change, field.schema, depth + 1)?);
            }
            (Value::Array(old), Value::Array(change)) if field.merges || deletes => {
                *now = Value::Array(lists::merge(old, change, &field, deletes, depth + 1)?);
            }
            (_, change) => *now = plain(change),
        }
    }
    Ok(original)
}

/// Fields the patch does not name go.
fn retain_keys(original: &mut Fields, patch: &mut Fields) -> Result<(), String> {
    let Some(kept) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(kept) = kept else {
        return Err("$retainKeys must be a list of field names".to_owned());
    };
    let keeps = |name: &str| kept.iter().any(|one| one.as_str() == Some(name));
    let foreign = patch.iter().find(|(name, value)| !value.is_null() && !keeps(name));
    if let Some((name, _)) = foreign.filter(|(name, _)| !name.starts_with('$')) {
        return Err(format!("the field {name} of the patch is not in its $retainKeys"));
    }
    original.retain(|name, _| keeps(name));
    Ok(())
}

/// Merges the lists for which the patch says an order, and brings them into it.
fn reorder(
    original: &mut Fields,
    patch: &mut Fields,
    schema: Schema,
    depth: usize,
) -> Result<(), String> {
    let named: Vec<String> =
        patch.keys().filter_map(|key| key.strip_prefix(SET_ORDER)).map(str::to_owned).collect();
    for name in named {
        let Some(Value::Array(order)) = patch.remove(&format!("{SET_ORDER}{name}")) else {
            return Err(format!("{SET_ORDER}{name} must be a list"));
        };
        let field = field_schema(schema, &name);
        let before = original.get(&name).and_then(Value::as_array).cloned();
        let merged = match (before.clone(), patch.remove(&name)) {
            (_, Some(Value::Null)) => {
                original.remove(&name);
                continue;
            }
            (Some(before), Some(Value::Array(change))) => {
                lists::merge(before, change, &field, false, depth + 1)?
            }
            (None, Some(change)) => match plain(change) {
                Value::Array(items) => items,
                _ => return Err(format!("{name} must be a list")),
            },
            (Some(before), None) => before,
            (None, None) => continue,
            (_, Some(_)) => return Err(format!("{name} must be a list")),
        };
        // What is deleted from the list is deleted before it is put into order.
        let merged = match patch.remove(&format!("{DELETE_FROM}{name}")) {
            Some(Value::Array(gone)) => lists::merge(merged, gone, &field, true, depth + 1)?,
            _ => merged,
        };
        let sorted = lists::in_order(merged, &order, &before.unwrap_or_default(), field.key);
        original.insert(name, Value::Array(sorted));
    }
    Ok(())
}

/// What a patch means where nothing is to merge with: no nulls, no directives.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(without_directives(fields)),
        Value::Array(items) => {
            let goes = |item: &Value| item[DIRECTIVE] == "delete" || item[DIRECTIVE] == "replace";
            Value::Array(items.into_iter().filter(|item| !goes(item)).map(plain).collect())
        }
        other => other,
    }
}

fn without_directives(fields: Fields) -> Fields {
    let stays = |(name, value): &(String, Value)| {
        let directive = name == DIRECTIVE
            || name == RETAIN_KEYS
            || name.starts_with(DELETE_FROM)
            || name.starts_with(SET_ORDER);
        !value.is_null() && !directive
    };
    fields.into_iter().filter(stays).map(|(name, value)| (name, plain(value))).collect()
}

#[cfg(test)]
mod tests;
