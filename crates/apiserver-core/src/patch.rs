//! JSON merge patch (RFC 7386) and JSON patch (RFC 6902) as Kubernetes applies them.
//!
//! JSON patch differs from the RFC where real servers do (recorded on 1.36): `replace` of a
//! missing key of a map adds it; `test` for null passes on a missing key, which kube-rs' finalizer
//! helper relies on; the first segment of a path is skipped whatever it is; negative indexes count
//! from the end.

use serde_json::{Map, Value};

use crate::status::ApiError;

/// Limit on the operations in one JSON patch, as upstream.
const OPERATIONS_LIMIT: usize = 10_000;
/// Limit on what `copy` operations may add, so that a small patch cannot explode.
const COPY_LIMIT_BYTES: usize = 3 * 1024 * 1024;

/// Limit on nesting, below the 128 at which parsers (ours too) give up.
pub(crate) const DEPTH_LIMIT: usize = 100;

/// Applies a merge patch: null removes, objects merge, all else replaces.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge_patch(fields.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Applies a JSON patch to a copy of the target.
///
/// # Errors
/// 400 if the patch is no list, 413 if it is too big, 422 if an operation cannot be applied.
pub fn json_patch(target: &Value, patch: &Value) -> Result<Value, ApiError> {
    let Value::Array(operations) = patch else {
        return Err(ApiError::bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type \
             []handlers.jsonPatchOp",
        ));
    };
    if operations.len() > OPERATIONS_LIMIT {
        return Err(ApiError::too_large(OPERATIONS_LIMIT as u64));
    }
    let mut result = target.clone();
    let mut copied = 0;
    for operation in operations {
        let done = apply(&mut result, operation, &mut copied);
        if copied > COPY_LIMIT_BYTES {
            return Err(ApiError::too_large(COPY_LIMIT_BYTES as u64));
        }
        done.ok_or_else(ApiError::rejected)?;
    }
    Ok(result)
}

/// None if the operation does not fit.
fn apply(root: &mut Value, operation: &Value, copied_bytes: &mut usize) -> Option<()> {
    let path = operation.get("path")?.as_str()?;
    let value = || operation.get("value").cloned();
    match operation.get("op")?.as_str()? {
        "add" => add(root, path, value()?),
        "remove" => remove(root, path).map(drop),
        "replace" => replace(root, path, value()?),
        "move" => {
            let moved = remove(root, operation.get("from")?.as_str()?)?;
            add(root, path, moved)
        }
        "copy" => {
            let copy = get(root, operation.get("from")?.as_str()?)?.unwrap_or_default();
            *copied_bytes += copy.to_string().len();
            (*copied_bytes <= COPY_LIMIT_BYTES).then(|| add(root, path, copy))?
        }
        "test" => {
            let found = get(root, path)?.unwrap_or_default();
            (found == value().unwrap_or_default()).then_some(())
        }
        _ => None,
    }
}

/// The container a path leads into, and the last key, unescaped.
fn parent<'a>(root: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let segments = path.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    let mut segments: Vec<String> = segments.collect();
    let last = segments.pop()?;
    let container = segments.iter().try_fold(root, |at, key| match at {
        Value::Array(items) => {
            let index = index(key, items.len())?;
            items.get_mut(index)
        }
        other => other.get_mut(key),
    })?;
    (container.is_object() || container.is_array()).then_some((container, last))
}

/// An index into a list of this length; negative ones count from the end.
fn index(key: &str, length: usize) -> Option<usize> {
    let index: i64 = key.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok()
}

/// The value at the path. `Some(None)` is a missing key of a map that exists.
fn get(root: &mut Value, path: &str) -> Option<Option<Value>> {
    if path.is_empty() {
        return Some(Some(root.clone()));
    }
    match parent(root, path)? {
        (Value::Array(items), key) => {
            let index = index(&key, items.len())?;
            items.get(index).cloned().map(Some)
        }
        (container, key) => Some(container.get(&key).cloned()),
    }
}

/// Nesting of a value: 0 for scalars.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn too_deep(path: &str, value: &Value) -> bool {
    depth(value) + path.split('/').count() > DEPTH_LIMIT
}

fn add(root: &mut Value, path: &str, value: Value) -> Option<()> {
    if too_deep(path, &value) {
        return None;
    }
    match parent(root, path)? {
        (Value::Array(items), key) if key == "-" => items.push(value),
        (Value::Array(items), key) => {
            let length = items.len();
            // -1 means "at the end", where for reading it means the last item.
            let at = index(&key, length + usize::from(key.starts_with('-')))?;
            (at <= length).then(|| items.insert(at, value))?;
        }
        (Value::Object(fields), key) => {
            fields.insert(key, value);
        }
        _ => return None,
    }
    Some(())
}

fn replace(root: &mut Value, path: &str, value: Value) -> Option<()> {
    if too_deep(path, &value) {
        return None;
    }
    if path.is_empty() {
        *root = value;
        return Some(());
    }
    match parent(root, path)? {
        (Value::Array(items), key) => {
            let index = index(&key, items.len())?;
            *items.get_mut(index)? = value;
        }
        (Value::Object(fields), key) => {
            fields.insert(key, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(root: &mut Value, path: &str) -> Option<Value> {
    match parent(root, path)? {
        (Value::Array(items), key) => {
            let index = index(&key, items.len())?;
            (index < items.len()).then(|| items.remove(index))
        }
        (Value::Object(fields), key) => fields.remove(&key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patch_follows_the_table_of_rfc_7386() {
        let table = json!([
            [{"a": "b"}, {"a": "c"}, {"a": "c"}],
            [{"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}],
            [{"a": "b"}, {"a": null}, {}],
            [{"a": "b", "b": "c"}, {"a": null}, {"b": "c"}],
            [{"a": ["b"]}, {"a": "c"}, {"a": "c"}],
            [{"a": "c"}, {"a": ["b"]}, {"a": ["b"]}],
            [{"a": {"b": "c"}}, {"a": {"b": "d", "c": null}}, {"a": {"b": "d"}}],
            [{"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}],
            [["a", "b"], ["c", "d"], ["c", "d"]],
            [{"a": "b"}, ["c"], ["c"]],
            [{"a": "foo"}, null, null],
            [{"a": "foo"}, "bar", "bar"],
            [{"e": null}, {"a": 1}, {"e": null, "a": 1}],
            [[1, 2], {"a": "b", "c": null}, {"a": "b"}],
            [{}, {"a": {"bb": {"ccc": null}}}, {"a": {"bb": {}}}]
        ]);
        let rows = table.as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(rows.len(), 15);
        for row in rows {
            let mut target = row[0].clone();
            merge_patch(&mut target, &row[1]);
            assert_eq!(target, row[2], "{row}");
        }
    }

    fn patched(target: Value, patch: Value) -> Result<Value, u16> {
        json_patch(&target, &patch).map_err(|error| error.code())
    }

    #[test]
    fn json_patch_operations_apply_in_order() {
        let patch = json!([
            {"op": "add", "path": "/data/n", "value": "1"},
            {"op": "replace", "path": "/data/k", "value": "w"},
            {"op": "copy", "from": "/data/k", "path": "/data/c"},
            {"op": "move", "from": "/data/l", "path": "/data/m"},
            {"op": "remove", "path": "/data/n"},
            {"op": "add", "path": "/list/1", "value": "b"},
            {"op": "add", "path": "/list/-", "value": "d"},
            {"op": "add", "path": "/labels/example.com~1x~0y", "value": "1"},
            {"op": "test", "path": "/data/c", "value": "w"}]);
        let target = json!({"data": {"k": "v", "l": "1"}, "list": ["a", "c"], "labels": {}});
        let wanted = json!({"data": {"k": "w", "c": "w", "m": "1"}, "list": ["a", "b", "c", "d"],
            "labels": {"example.com/x~y": "1"}});
        assert_eq!(patched(target, patch), Ok(wanted));
    }

    #[test]
    fn testing_for_null_passes_on_a_missing_key_but_not_below_a_missing_parent() {
        let target = json!({"metadata": {"name": "a"}});
        let test = |path: &str, value: Value| {
            patched(target.clone(), json!([{"op": "test", "path": path, "value": value}]))
        };
        assert_eq!(test("/metadata/finalizers", json!(null)), Ok(target.clone()));
        assert_eq!(test("/metadata/finalizers", json!("x")), Err(422));
        assert_eq!(test("/metadata/annotations/x", json!(null)), Err(422));
    }

    #[test]
    fn replacing_a_missing_key_adds_it_but_removing_one_fails() {
        let target = json!({"data": {}});
        let replace = json!([{"op": "replace", "path": "/data/zzz", "value": "x"}]);
        assert_eq!(patched(target.clone(), replace), Ok(json!({"data": {"zzz": "x"}})));
        let remove = json!([{"op": "remove", "path": "/data/zzz"}]);
        assert_eq!(patched(target, remove), Err(422));
    }

    #[test]
    fn a_path_without_a_leading_slash_loses_its_first_segment() {
        let patch = json!([{"op": "add", "path": "data/k", "value": "x"}]);
        assert_eq!(patched(json!({"data": {}}), patch), Ok(json!({"data": {}, "k": "x"})));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let target = json!({"list": ["a"]});
        for (operation, code) in [
            (json!([{"op": "foo", "path": "/list", "value": 1}]), 422),
            (json!([{"op": "add", "path": "/no/such", "value": 1}]), 422),
            (json!([{"op": "add", "path": "/list/7", "value": 1}]), 422),
            (json!([{"op": "remove", "path": "/list/1"}]), 422),
            (json!([{"op": "add", "path": "/no/-", "value": 1}]), 422),
            (json!({"op": "add", "path": "/list", "value": 1}), 400),
        ] {
            assert_eq!(patched(target.clone(), operation.clone()), Err(code), "{operation}");
        }
    }

    #[test]
    fn copies_that_blow_an_object_up_are_stopped() {
        let wider = |n: usize| json!({"op": "copy", "from": "/a", "path": format!("/a/{n}")});
        let wider: Vec<Value> = (0..40).map(wider).collect();
        assert_eq!(patched(json!({"a": {"x": "y".repeat(1000)}}), json!(wider)), Err(413));
        let deeper = json!({"op": "copy", "from": "/a", "path": "/a/b"});
        let deeper = vec![deeper; 500];
        assert_eq!(patched(json!({"a": {"x": "y"}}), json!(deeper)), Err(422));
    }

    #[test]
    fn no_operation_nests_beyond_the_limit() {
        let deep = (0..90).fold(json!({}), |inner, _| json!({"a": inner}));
        for operation in ["add", "replace"] {
            let path = format!("/x{}", "/a".repeat(20));
            let mut root = (0..20).fold(json!({}), |inner, _| json!({"a": inner}));
            root = json!({"x": root});
            let operations = json!([{"op": operation, "path": path, "value": deep}]);
            assert!(json_patch(&root, &operations).is_err(), "{operation} must be refused");
        }
    }
}
