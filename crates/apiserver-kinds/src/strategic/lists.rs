//! Lists that merge: scalars as sets, objects by key.
//!
//! Patches come from outside and can have hundreds of thousands of items, so items are found by
//! the text of their key in an index, never by going through a list.

use std::collections::{BTreeMap, BTreeSet};

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
            let gone: BTreeSet<String> = patch.iter().map(Value::to_string).collect();
            return Ok(original.into_iter().filter(|i| !gone.contains(&i.to_string())).collect());
        }
        let mut known: BTreeSet<String> = original.iter().map(Value::to_string).collect();
        let mut merged = original.clone();
        merged.extend(patch.iter().filter(|item| known.insert(item.to_string())).cloned());
        return Ok(in_order(merged, &patch, &original, None));
    }
    let Some(key) = field.key else {
        return Err("cannot merge lists of objects without a merge key".to_owned());
    };
    let order = patch.clone();
    let (mut merged, patch) = special_elements(original.clone(), patch, key)?;
    let items = field.schema.and_then(|node| node.get("items"));
    let mut places = index(&merged, Some(key));
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
        let wanted = wanted.to_string();
        match places.get(&wanted).and_then(|place| merged.get_mut(*place)) {
            Some(item) => {
                let Value::Object(old) = item.take() else {
                    return Err("a list mixes objects with other values".to_owned());
                };
                *item = Value::Object(merge_fields(old, change, items, depth + 1)?);
            }
            None => {
                let new = super::plain(Value::Object(change));
                // A key of null is taken for none.
                if new.get(key).is_some() {
                    places.insert(wanted, merged.len());
                }
                merged.push(new);
            }
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
    let mut gone = BTreeSet::new();
    for item in patch {
        match item.get(DIRECTIVE).map(|what| what.as_str().unwrap_or_default()) {
            None => left.push(item),
            Some("delete") => match item.get(key) {
                Some(wanted) => drop(gone.insert(wanted.to_string())),
                None => return Err(format!("delete patch type with no merge key {key} defined")),
            },
            Some("replace") => replaces = true,
            Some(other) => return Err(format!("unknown patch type: {other} in a list")),
        }
    }
    if !gone.is_empty() {
        original.retain(|item| item.get(key).is_none_or(|own| !gone.contains(&own.to_string())));
    }
    Ok((if replaces { Vec::new() } else { original }, left))
}

/// What tells an item from others: a field's value, or the item itself.
fn name_of(item: &Value, key: Option<&str>) -> Option<String> {
    match key {
        Some(key) => item.get(key).map(Value::to_string),
        None => Some(item.to_string()),
    }
}

/// The first place of each item.
fn index(list: &[Value], key: Option<&str>) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for (place, item) in list.iter().enumerate() {
        if let Some(name) = name_of(item, key) {
            places.entry(name).or_insert(place);
        }
    }
    places
}

/// Brings a merged list into order: what `order` names comes in its order, what only the server has in the order it had;
/// between the two, what stood in front of the other stays in front.
pub(super) fn in_order(
    merged: Vec<Value>,
    order: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let (order, server) = (index(order, key), index(server, key));
    let mut named = Vec::new();
    let mut others = Vec::new();
    for item in merged {
        let name = name_of(&item, key);
        let place = |places: &BTreeMap<String, usize>| places.get(name.as_ref()?).copied();
        match (place(&order), place(&server)) {
            (Some(wanted), had) => named.push((wanted, had, item)),
            (None, had) => others.push((had, item)),
        }
    }
    named.sort_by_key(|(wanted, ..)| *wanted);
    others.sort_by_key(|(had, _)| had.unwrap_or(usize::MAX));
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().map(|(_, had, item)| (had, item)).peekable();
    let mut others = others.into_iter().peekable();
    while let (Some((left, _)), Some((right, _))) = (others.peek(), named.peek()) {
        let first = match (left, right) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        sorted.extend(if first { others.next() } else { named.next() });
    }
    sorted.into_iter().chain(named).chain(others).map(|(_, item)| item).collect()
}
