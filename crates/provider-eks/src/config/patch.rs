//! `payloadPatch`: RFC 7396 over the create request, without the keys that say what and whose a resource is.

use fleetwright_provider::merge_patch;
use serde_json::{Map, Value};

use super::check::Check;

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
    merge_patch(body, &Value::Object(allowed));
}
