//! Lists that merge: scalars as sets, objects by key.

use serde_json::Value;

use super::{DIRECTIVE, FieldSchema, merge_fields};

/// Merges a list of a patch into one that is there.
pub(super) fn merge(
    original: Vec<Value>,
    patch: Vec<Value>,
    field: &FieldSchema,
    deletes: bool,
    depth: usize,
) -> Result<Vec<Value>, String> {
    let objects = original.iter().chain(&patch).any(Value::is_object);
    if !objects {
        if deletes {
            return Ok(original.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        let mut merged = original.clone();
        for item in &patch {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(in_order(merged, &patch, &original, None));
    }
    let Some(key) = field.key else {
        return Err("cannot merge lists of objects without a merge key".to_owned());
    };
    let order = patch.clone();
    let (mut merged, patch) = special_elements(original.clone(), patch, key)?;
    let items = field.schema.and_then(|node| node.get("items"));
    for change in patch {
        let Value::Object(change) = change else {
            return Err("a list mixes objects with other values".to_owned());
        };
        let Some(wanted) = change.get(key) else {
            return Err(format!(
                "map: {} does not contain declared merge key: {key}",
                Value::Object(change)
            ));
        };
        match merged.iter_mut().find(|item| item.get(key) == Some(wanted)) {
            Some(item) => {
                let Value::Object(old) = item.take() else {
                    return Err("a list mixes objects with other values".to_owned());
                };
                *item = Value::Object(merge_fields(old, change, items, depth + 1)?);
            }
            None => merged.push(super::plain(Value::Object(change))),
        }
    }
    Ok(in_order(merged, &order, &original, Some(key)))
}

/// `{"$patch": "replace"}` empties the list first; `{KEY: x, "$patch": "delete"}` takes an element out.
fn special_elements(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), String> {
    let mut left = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        match item.get(DIRECTIVE).map(|what| what.as_str().unwrap_or_default()) {
            None => left.push(item),
            Some("delete") => match item.get(key) {
                Some(wanted) => original.retain(|item| item.get(key) != Some(wanted)),
                None => return Err(format!("delete patch type with no merge key {key} defined")),
            },
            Some("replace") => replaces = true,
            Some(other) => return Err(format!("unknown patch type: {other} in a list")),
        }
    }
    Ok((if replaces { Vec::new() } else { original }, left))
}

/// Brings a merged list into order: what `order` names comes in its order, what only the server has in the order it had;
/// between the two, what stood in front of the other stays in front.
pub(super) fn in_order(
    merged: Vec<Value>,
    order: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let same = |a: &Value, b: &Value| match key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    };
    let position = |list: &[Value], item: &Value| list.iter().position(|one| same(one, item));
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| position(order, item).is_some());
    named.sort_by_key(|item| position(order, item));
    others.sort_by_key(|item| position(server, item).unwrap_or(usize::MAX));
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    let mut others = others.into_iter().peekable();
    while let (Some(left), Some(right)) = (others.peek(), named.peek()) {
        let first = match (position(server, left), position(server, right)) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        sorted.extend(if first { others.next() } else { named.next() });
    }
    sorted.extend(named);
    sorted.extend(others);
    sorted
}
