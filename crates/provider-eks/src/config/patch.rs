//! `payloadPatch`: RFC 7396 over the create request, without the keys that say what and whose a resource is.

use serde_json::{Map, Value};

use super::check::Check;

/// Merges `patch` into `target` as RFC 7396 says: objects merge, `null` removes, anything else replaces.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Applies a patch whose keys do not include `fixed`, or tells which do.
pub(super) fn apply(
    check: &mut Check,
    (body, patch): (&mut Value, Option<&Map<String, Value>>),
    fixed: &[&str],
    field: &str,
) {
    let Some(patch) = patch else { return };
    let mut allowed = Map::new();
    for (key, value) in patch {
        let free = !fixed.contains(&key.as_str()) && !key.starts_with('_');
        check.that(free, &format!("{field}.{key}"), || {
            "may not be patched: it says what the resource is or whose".into()
        });
        if free {
            allowed.insert(key.clone(), value.clone());
        }
    }
    merge(body, &Value::Object(allowed));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merging_follows_the_examples_of_rfc_7396() {
        let table = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, expected) in table {
            merge(&mut target, &patch);
            assert_eq!(target, expected, "patch {patch}");
        }
    }
}
