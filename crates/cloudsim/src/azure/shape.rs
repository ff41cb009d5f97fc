//! The shapes of bodies: what a property may hold. What is not in a shape is refused by name.

use serde_json::{Map, Value};

use super::answer::AzureError;
use crate::paths::without_nulls;

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// Kept as it is.
    Any,
    Text,
    Flag,
    Whole(i64, i64),
    Number,
    /// One of these, in any case; kept in this one.
    Words(&'static [&'static str]),
    List(&'static Shape),
    /// Keys are the user's. A new map takes the place of the old one.
    Map(&'static Shape),
    /// Keys are the user's. Those that are not said stay.
    Named(&'static Shape),
    Object(&'static [(&'static str, Shape)]),
    /// AKS says it; who says it back is not listened to.
    ReadOnly,
}

/// A value without what means nothing: nulls and what is read only; words in their own case.
///
/// # Errors
/// A property that there is not, or a value of the wrong kind, by its path.
pub(super) fn checked(value: &Value, shape: &Shape, path: &str) -> Result<Value, AzureError> {
    let wrong = |wanted: &str| {
        Err(AzureError::bad(
            "UnmarshalError",
            format!("UnmarshalEntity encountered error: {path} must be {wanted}, it is {value}."),
        ))
    };
    match (shape, value) {
        (Shape::Any | Shape::ReadOnly, value) => Ok(without_nulls(value.clone())),
        (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => Ok(value.clone()),
        (Shape::Text, _) => wrong("a string"),
        (Shape::Flag, _) => wrong("true or false"),
        (Shape::Number, Value::Number(_)) => Ok(value.clone()),
        (Shape::Number, _) => wrong("a number"),
        (Shape::Whole(least, most), value) => match value.as_i64() {
            Some(n) if (*least..=*most).contains(&n) => Ok(value.clone()),
            Some(_) => Err(AzureError::parameter(
                path,
                format!("must be between {least} and {most}, it is {value}"),
            )),
            None => wrong("a whole number"),
        },
        (Shape::Words(words), Value::String(said)) => {
            match words.iter().find(|word| word.eq_ignore_ascii_case(said)) {
                Some(word) => Ok(Value::String((*word).to_owned())),
                None => Err(AzureError::parameter(
                    path,
                    format!("must be one of {}, it is '{said}'", words.join(", ")),
                )),
            }
        }
        (Shape::Words(_), _) => wrong("a string"),
        (Shape::List(of), Value::Array(items)) => {
            let items = items.iter().enumerate();
            items.map(|(n, item)| checked(item, of, &format!("{path}[{n}]"))).collect()
        }
        (Shape::List(_), _) => wrong("an array"),
        (Shape::Map(of) | Shape::Named(of), Value::Object(fields)) => {
            let said = fields.iter().filter(|(_, value)| !value.is_null());
            let kept = said.map(|(name, value)| {
                Ok((name.clone(), checked(value, of, &format!("{path}.{name}"))?))
            });
            kept.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        (Shape::Object(known), Value::Object(fields)) => object(fields, known, path),
        (Shape::Map(_) | Shape::Named(_) | Shape::Object(_), _) => wrong("an object"),
    }
}

fn object(
    fields: &Map<String, Value>,
    known: &[(&str, Shape)],
    path: &str,
) -> Result<Value, AzureError> {
    let mut kept = Map::new();
    for (name, value) in fields {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some((_, shape)) = known.iter().find(|(known, _)| known == name) else {
            return Err(AzureError::bad(
                "UnmarshalError",
                format!("UnmarshalEntity encountered error: json: unknown field \"{at}\"."),
            ));
        };
        if !value.is_null() && !matches!(shape, Shape::ReadOnly) {
            kept.insert(name.clone(), checked(value, shape, &at)?);
        }
    }
    Ok(Value::Object(kept))
}

/// What was, with what is said now: as AKS takes it, what is not said stays.
pub(super) fn merged(old: &Value, new: &Value, shape: &Shape) -> Value {
    let (Value::Object(before), Value::Object(said)) = (old, new) else {
        return new.clone();
    };
    let inner = |name: &str| match shape {
        Shape::Object(known) => {
            known.iter().find(|(known, _)| *known == name).map_or(&Shape::Any, |(_, shape)| shape)
        }
        Shape::Named(of) => of,
        _ => &Shape::Any,
    };
    if matches!(shape, Shape::Map(_)) {
        return new.clone();
    }
    let mut result = before.clone();
    for (name, value) in said {
        let value = match before.get(name) {
            Some(old) => merged(old, value, inner(name)),
            None => value.clone(),
        };
        result.insert(name.clone(), value);
    }
    Value::Object(result)
}

/// Puts in what is not said.
pub(super) fn fill(document: &mut Value, defaults: Value) {
    match (document, defaults) {
        (Value::Object(said), Value::Object(defaults)) => {
            for (name, default) in defaults {
                match said.get_mut(&name) {
                    Some(value) => fill(value, default),
                    None => {
                        said.insert(name, default);
                    }
                }
            }
        }
        (document, defaults) if document.is_null() => *document = defaults,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHAPE: Shape = Shape::Object(&[
        ("word", Shape::Words(&["azure", "none"])),
        ("tags", Shape::Map(&Shape::Text)),
        ("free", Shape::Any),
        ("id", Shape::ReadOnly),
        ("inner", Shape::Object(&[("n", Shape::Whole(1, 3))])),
    ]);

    #[test]
    fn words_get_their_own_case_and_what_means_nothing_goes() {
        let said =
            json!({ "word": "Azure", "id": "x", "free": { "a": null, "b": 1 }, "inner": null });
        let expect = json!({ "word": "azure", "free": { "b": 1 } });
        assert_eq!(checked(&said, &SHAPE, "").expect("fine"), expect);
    }

    #[test]
    fn what_is_unknown_or_wrong_is_named_by_its_path() {
        let said = |value: Value| checked(&value, &SHAPE, "").expect_err("wrong").message;
        let unknown = said(json!({ "inner": { "m": 1 } }));
        assert!(unknown.ends_with("unknown field \"inner.m\"."), "{unknown}");
        assert!(said(json!({ "inner": { "n": 4 } })).contains("inner.n"));
        assert!(said(json!({ "word": "blue" })).contains("must be one of azure, none"));
        assert!(said(json!({ "tags": ["a"] })).contains("tags must be an object"));
    }

    #[test]
    fn what_is_not_said_stays_and_maps_are_replaced() {
        let old = json!({ "word": "azure", "tags": { "a": "1" }, "inner": { "n": 1 }, "free": { "a": 1 } });
        let new = json!({ "tags": { "b": "2" }, "free": { "b": 2 } });
        let expect = json!({ "word": "azure", "tags": { "b": "2" }, "inner": { "n": 1 }, "free": { "a": 1, "b": 2 } });
        assert_eq!(merged(&old, &new, &SHAPE), expect);
    }
}
