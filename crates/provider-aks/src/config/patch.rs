//! `payloadPatch`: RFC 7396 over a `PUT`, without the keys that say what and whose a resource is.

use fleetwright_provider::merge_patch;
use serde_json::{Map, Value};

use super::BIRTH;
use super::check::Check;

/// What a patch is applied to.
pub(super) struct Patched<'a> {
    /// The request.
    pub(super) body: &'a mut Value,
    /// Where in it the patch applies: empty for the whole, else one key.
    pub(super) below: &'static str,
    /// Paths in it that a patch may not touch.
    pub(super) fixed: &'static [&'static str],
    /// The patch's place in the object.
    pub(super) field: &'a str,
}

/// Applies a patch without its fixed paths, and tells which those are. What a patch says is declared, also where it was given
/// at birth only before.
pub(super) fn apply(check: &mut Check, to: Patched<'_>, patch: Option<&Map<String, Value>>) {
    let Patched { body, below, fixed, field } = to;
    let Some(patch) = patch else { return };
    let mut patch = patch.clone();
    let notes = patch.keys().filter(|key| key.starts_with('_')).cloned();
    let touched = fixed.iter().filter(|path| look_up(&patch, path).is_some());
    let touched: Vec<String> = notes.chain(touched.map(|path| (*path).to_owned())).collect();
    for path in touched {
        check.that(false, &format!("{field}.{path}"), || {
            "may not be patched: it says what the resource is or whose, or has a field of its own"
                .into()
        });
        remove(&mut patch, &path);
    }
    let patch = Value::Object(patch);
    if let Some(Value::Array(birth)) = body.get_mut(BIRTH) {
        birth.retain(|path| {
            let path = path.as_str().unwrap_or_default();
            let path = path.strip_prefix(below).unwrap_or(path).trim_start_matches('.');
            patch.as_object().and_then(|patch| look_up(patch, path)).is_none()
        });
    }
    merge_patch(if below.is_empty() { body } else { &mut body[below] }, &patch);
}

fn look_up<'a>(patch: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let found = patch.get(first)?;
    match found {
        _ if rest.is_empty() => Some(found),
        Value::Object(inner) => look_up(inner, rest),
        // A whole that is replaced or removed takes its parts along.
        other => Some(other),
    }
}

fn remove(patch: &mut Map<String, Value>, path: &str) {
    match path.split_once('.') {
        Some((first, rest)) => match patch.get_mut(first) {
            Some(Value::Object(inner)) => remove(inner, rest),
            _ => drop(patch.remove(first)),
        },
        None => drop(patch.remove(path)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_fixed_stays_and_what_is_patched_is_declared() {
        let mut check = Check::default();
        let mut body =
            json!({"properties": {"a": 1, "b": 2}, "_birth": ["properties.a", "properties.b"]});
        let to = Patched {
            body: &mut body,
            below: "",
            fixed: &["name", "properties.c"],
            field: "spec.aks.payloadPatch",
        };
        let patch = json!({"name": "x", "_birth": [], "properties": {"a": 3, "c": 4}});
        apply(&mut check, to, patch.as_object());
        assert_eq!(body, json!({"properties": {"a": 3, "b": 2}, "_birth": ["properties.b"]}));
        let fields: Vec<_> = check.problems.into_iter().map(|problem| problem.field).collect();
        assert_eq!(
            fields,
            [
                "spec.aks.payloadPatch._birth",
                "spec.aks.payloadPatch.name",
                "spec.aks.payloadPatch.properties.c"
            ]
        );
    }
}
