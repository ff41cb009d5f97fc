//! What the scale subresource demands of the object it is a view of.

use serde_json::{Value, json};

use crate::scheme::ResourceType;
use crate::selector::LabelSelector;
use crate::status::Cause;

/// The numbers that `/scale` shows must be ones, whichever path writes them.
pub(super) fn check(rt: &ResourceType, object: &Value, status_only: bool) -> Vec<Cause> {
    let Some(paths) = &rt.scale else { return Vec::new() };
    let path = if status_only { &paths.status } else { &paths.spec };
    let mut causes: Vec<Cause> = check_number(object, path).into_iter().collect();
    if let Some(path) = paths.selector.as_ref().filter(|_| status_only) {
        let selector = find(object, path).and_then(Value::as_str);
        if let Some(text) = selector.filter(|text| !text.is_empty())
            && let Err(error) = LabelSelector::parse(text)
        {
            let field = format!(".{}", path.join("."));
            causes.push(Cause::invalid(field, &json!(text), &error.to_string()));
        }
    }
    causes
}

fn find<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, step| at.get(step))
}

fn check_number(object: &Value, path: &[String]) -> Option<Cause> {
    let value = find(object, path)?;
    let field = format!(".{}", path.join("."));
    let Some(number) = value.as_i64() else {
        let (shown, kind) = match value {
            Value::String(text) => (text.clone(), "string"),
            Value::Bool(_) => (value.to_string(), "bool"),
            Value::Number(_) => (value.to_string(), "float64"),
            Value::Array(_) => (value.to_string(), "[]interface {}"),
            Value::Object(_) => (value.to_string(), "map[string]interface {}"),
            Value::Null => ("<nil>".to_owned(), "nil"),
        };
        let why = format!("{field} accessor error: {shown} is of the type {kind}, expected int64");
        return Some(Cause::invalid(field, &json!(0), &why));
    };
    let why = if number < 0 {
        "should be a non-negative integer"
    } else if i32::try_from(number).is_err() {
        "should be less than or equal to 2147483647"
    } else {
        return None;
    };
    Some(Cause::invalid(field, value, why))
}
