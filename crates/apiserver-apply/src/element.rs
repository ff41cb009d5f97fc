//! The steps of a field's path, as `managedFields` writes them: `f:NAME` (a field), `k:{…}` (an item of a list by its
//! keys), `v:…` (an item of a set by its value), `i:N` (an item by its place).
//!
//! A step *is* its text: the JSON in it is compact, with sorted keys, so that equal steps have equal texts.

use serde_json::{Map, Value};

use crate::schema::{List, Relation};

/// Names the owner of a node itself, beside its children.
pub(crate) const SELF: &str = ".";

pub(crate) fn field(name: &str) -> String {
    let mut step = String::with_capacity(name.len() + 2);
    step.push_str("f:");
    step.push_str(name);
    step
}

/// The step to an item of a list, or why it has none.
pub(crate) fn item(list: &List, item: &Value) -> Result<String, String> {
    match &list.relation {
        Relation::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        Relation::Set => match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => {
                Err("not supported: associative list with lists as elements".to_owned())
            }
            Value::Null => {
                Err("associative list without keys has an element that's an explicit null"
                    .to_owned())
            }
            scalar => {
                let mut step = String::from("v:");
                push_json(&mut step, scalar);
                Ok(step)
            }
        },
        Relation::Keyed(keys) => keyed(keys, item),
    }
}

fn keyed(keys: &[(String, Option<Value>)], item: &Value) -> Result<String, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => {
            return Err("associative list with keys may not have a null element".to_owned());
        }
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut step = String::from("k:{");
    // The keys are sorted when the schema is compiled.
    for (name, default) in keys {
        if let Some(value) = fields.get(name).or(default.as_ref()) {
            if step.len() > 3 {
                step.push(',');
            }
            push_text(&mut step, name);
            step.push(':');
            push_json(&mut step, value);
        }
    }
    if step.len() == 3 {
        let names: Vec<String> = keys.iter().map(|(name, _)| format!("{name:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and \
             doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    step.push('}');
    Ok(step)
}

/// Whether two items have the same keys, told without making steps.
pub(crate) fn are_twins(keys: &[(String, Option<Value>)], one: &Value, other: &Value) -> bool {
    keys.iter().all(|(name, default)| {
        let (one, other) = (one.get(name), other.get(name));
        one.or(default.as_ref()) == other.or(default.as_ref())
    })
}

fn push_json(step: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_text(step, text),
        other => step.push_str(&other.to_string()),
    }
}

/// A text as JSON, which for nearly all names needs no escapes.
fn push_text(step: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        step.push('"');
        step.push_str(text);
        step.push('"');
    } else {
        step.push_str(&Value::from(text).to_string());
    }
}

/// The same step in its one spelling, or None if it is no step.
pub(crate) fn canonical(step: &str) -> Option<String> {
    let (kind, rest) = step.split_once(':')?;
    match kind {
        "f" => Some(step.to_owned()),
        "i" => rest.parse::<i64>().ok().map(|index| format!("i:{index}")),
        "v" => serde_json::from_str::<Value>(rest).ok().map(|value| format!("v:{value}")),
        "k" => {
            let keys = serde_json::from_str::<Map<String, Value>>(rest).ok()?;
            Some(format!("k:{}", Value::Object(keys)))
        }
        _ => None,
    }
}

/// How people read a step: `.name`, `[name="a"]`, `[="x"]`, `[0]`.
pub(crate) fn shown(step: &str) -> String {
    let (kind, rest) = step.split_once(':').unwrap_or(("f", step));
    match kind {
        "v" => format!("[={rest}]"),
        "i" => format!("[{rest}]"),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let parts: Vec<String> =
                keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", parts.join(","))
        }
        _ => format!(".{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(relation: Relation) -> List {
        List { item: crate::schema::DEDUCED, relation }
    }

    #[test]
    fn an_item_is_named_by_its_keys_with_their_defaults() {
        let keys =
            vec![("containerPort".to_owned(), None), ("protocol".to_owned(), Some(json!("TCP")))];
        let ports = list(Relation::Keyed(keys));
        let step = |value: Value| item(&ports, &value);
        let tcp = r#"k:{"containerPort":80,"protocol":"TCP"}"#;
        assert_eq!(step(json!({"containerPort": 80})).as_deref(), Ok(tcp));
        assert_eq!(step(json!({"protocol": "TCP", "containerPort": 80})).as_deref(), Ok(tcp));
        assert_eq!(step(json!({})).as_deref(), Ok(r#"k:{"protocol":"TCP"}"#));
        assert!(step(json!(null)).is_err() && step(json!(1)).is_err());
    }

    #[test]
    fn an_item_of_a_set_is_named_by_its_value() {
        let set = list(Relation::Set);
        assert_eq!(item(&set, &json!("a\"b")).as_deref(), Ok(r#"v:"a\"b""#));
        assert_eq!(item(&set, &json!(1)).as_deref(), Ok("v:1"));
        assert!(item(&set, &json!({})).is_err() && item(&set, &json!([])).is_err());
    }

    #[test]
    fn steps_have_one_spelling() {
        for (given, wanted) in [
            ("f:a:b", Some("f:a:b")),
            (r#"k:{ "b":1, "a" : "x"}"#, Some(r#"k:{"a":"x","b":1}"#)),
            ("v: 1", Some("v:1")),
            ("i:03", Some("i:3")),
            ("k:[]", None),
            ("x:1", None),
            ("name", None),
        ] {
            assert_eq!(canonical(given).as_deref(), wanted, "{given}");
        }
    }

    #[test]
    fn people_read_paths_as_upstream_writes_them() {
        assert_eq!(shown("f:data"), ".data");
        assert_eq!(shown(r#"k:{"name":"a","n":1}"#), r#"[n=1,name="a"]"#);
        assert_eq!(shown(r#"v:"x""#), r#"[="x"]"#);
        assert_eq!(shown("i:0"), "[0]");
    }
}
