//! Two JSON values compared by what the first one declares.

use serde_json::Value;

use crate::config::BIRTH;

/// One declared value that differs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// Keys joined by dots.
    pub(super) path: String,
    pub(super) declared: Value,
    pub(super) found: Value,
}

/// Everything that `declared` says and `found` does not; notes of ours and what is given at birth only are left out.
pub(super) fn leaves(declared: &Value, found: &Value) -> Vec<Leaf> {
    let birth: Vec<&str> =
        declared[BIRTH].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut leaves = Vec::new();
    walk("", (declared, found), &birth, &mut leaves);
    leaves
}

fn walk(path: &str, (declared, found): (&Value, &Value), birth: &[&str], leaves: &mut Vec<Leaf>) {
    if birth.contains(&path) {
        return;
    }
    if let Value::Object(map) = declared {
        for (key, value) in map.iter().filter(|(key, _)| !key.starts_with('_')) {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(&below, (value, &found[key.as_str()]), birth, leaves);
        }
    } else if !same(path, declared, found) {
        let (declared, found) = (declared.clone(), found.clone());
        leaves.push(Leaf { path: path.to_owned(), declared, found });
    }
}

/// Lists are sets but for instance types, whose order says which is best. What EKS leaves out is false, zero or empty.
fn same(path: &str, declared: &Value, found: &Value) -> bool {
    match (declared, found) {
        (Value::Array(_), Value::Array(_)) if path == "instanceTypes" => declared == found,
        (Value::Array(declared), Value::Array(found)) => sorted(declared) == sorted(found),
        (Value::Array(declared), Value::Null) => declared.is_empty(),
        (Value::Bool(declared), Value::Null) => !declared,
        _ => declared == found,
    }
}

/// The entries in an order of their own, without what says nothing.
pub(super) fn sorted(list: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = list.iter().map(|entry| lean(entry).to_string()).collect();
    texts.sort();
    texts
}

/// A value whose objects hold no null, empty text, list or object: EKS tells a member that nobody gave in any of these
/// forms, or not at all.
pub(super) fn lean(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(key, value)| (key, lean(value)));
            let mut kept: Vec<(&String, Value)> = kept.filter(|(_, value)| !empty(value)).collect();
            kept.sort_by_key(|(key, _)| *key);
            Value::Object(kept.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(lean).collect()),
        other => other.clone(),
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A value for a person.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_declared_is_compared() {
        let declared = json!({"a": {"b": 1}, "list": ["y", "x"], "off": false, "_note": 1, "born": 2, "_birth": ["born"]});
        let found = json!({"a": {"b": 2, "c": 3}, "list": ["x", "y"], "more": true, "born": 9});
        let paths: Vec<String> =
            leaves(&declared, &found).into_iter().map(|leaf| leaf.path).collect();
        assert_eq!(paths, ["a.b"]);
    }

    #[test]
    fn entries_of_lists_are_the_same_without_what_says_nothing() {
        let declared =
            json!({"selectors": [{"namespace": "b"}, {"namespace": "a", "labels": {"x": "y"}}]});
        let found = json!({"selectors": [
            {"namespace": "a", "labels": {"x": "y", "z": ""}},
            {"namespace": "b", "labels": {}, "more": [], "other": null},
        ]});
        assert_eq!(leaves(&declared, &found), []);
        let other = json!({"selectors": [{"namespace": "a"}, {"namespace": "b"}]});
        assert_eq!(leaves(&declared, &other).len(), 1, "a label is more than nothing");
    }
}
