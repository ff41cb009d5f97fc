//! Which old value a new one grew out of.

use serde_json::Value;

/// The old self of a list's item: the one with the same keys in a list map. Items of other lists
/// have none, since they have no identity.
pub(super) fn old_item<'a>(schema: &Value, item: &Value, old: &'a Value) -> Option<&'a Value> {
    if schema["x-kubernetes-list-type"] != "map" {
        return None;
    }
    let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
    let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
    let same = |old: &&Value| keys.iter().all(|key| old.get(key) == item.get(key));
    old.as_array()?.iter().find(same)
}
