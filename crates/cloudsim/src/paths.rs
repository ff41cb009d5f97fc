//! Values inside documents, by the path that the clouds write: `resourcesVpcConfig.publicAccessCidrs`, `tags.team`.

use serde_json::{Map, Value};

/// Maps whose keys may have dots: what follows is one key.
const MAPS: [&str; 3] = ["tags", "labels", "nodeLabels"];

/// The names of a path.
pub(crate) fn split(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some((name, after)) = rest.split_once('.') {
        names.push(name);
        rest = after;
        if MAPS.contains(&name) {
            break;
        }
    }
    names.push(rest);
    names
}

/// Sets the value at a path, making objects on the way; `null` takes it away.
///
/// # Errors
/// When the path leads through something that is no object.
pub(crate) fn set(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let mut names = split(path);
    let last = names.pop().filter(|last| !last.is_empty()).ok_or("the path is empty")?;
    let mut at = document;
    for name in names {
        let object = at.as_object_mut().ok_or_else(|| format!("{path} leads through no object"))?;
        at = object.entry(name).or_insert(Value::Null);
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
    }
    let object = at.as_object_mut().ok_or_else(|| format!("{path} leads through no object"))?;
    if value.is_null() {
        object.remove(last);
    } else {
        object.insert(last.to_owned(), value);
    }
    Ok(())
}

/// A document without what says nothing, at any depth.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.into_iter().filter(|(_, value)| !value.is_null());
            said.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_nothing_goes_at_any_depth() {
        let value = json!({ "a": null, "b": [{ "c": null, "d": 1 }] });
        assert_eq!(without_nulls(value), json!({ "b": [{ "d": 1 }] }));
    }

    #[test]
    fn keys_of_tags_and_labels_may_have_dots() {
        assert_eq!(split("tags.fleetwright.dev/uid"), ["tags", "fleetwright.dev/uid"]);
        assert_eq!(split("a.labels.x.y"), ["a", "labels", "x.y"]);
        assert_eq!(split("version"), ["version"]);
    }

    #[test]
    fn a_value_is_set_in_objects_that_may_be_missing_and_null_takes_it_away() {
        let mut document = json!({ "a": 1, "b": null });
        set(&mut document, "b.c", json!([2])).expect("set");
        assert_eq!(document, json!({ "a": 1, "b": { "c": [2] } }));
        set(&mut document, "b.c", Value::Null).expect("set");
        assert_eq!(document, json!({ "a": 1, "b": {} }));
        let expect = Err("a.x leads through no object".to_owned());
        assert_eq!(set(&mut document, "a.x", json!(1)), expect);
    }
}
