//! The fields that a configuration sets, and whether it fits its schema.

use serde_json::{Map, Value};

use crate::element::{field, item, shown};
use crate::schema::{DEDUCED, Form, List, MapType, Relation, Scalar, Schema, TypeId};
use crate::set::{FieldSet, Node, mark};

impl Schema {
    /// Every field that the object sets.
    pub(crate) fn fields_of(&self, object: &Value) -> FieldSet {
        FieldSet(self.below(self.root, object))
    }

    /// The fields below a value; empty if it is a leaf.
    fn below(&self, id: TypeId, value: &Value) -> Node {
        match (self.form(id, value), value) {
            (Form::Map(map), Value::Object(fields)) if !map.atomic => {
                let mut out = Map::new();
                for (name, value) in fields {
                    if let Some(node) = self.owned_field(map, name, value) {
                        out.insert(field(name), Value::Object(node));
                    }
                }
                out
            }
            (Form::List(list), Value::Array(items)) if list.relation != Relation::Atomic => {
                let mut out = Map::new();
                for value in items {
                    let Ok(step) = item(list, value) else { continue };
                    // Several items of one name are one value together.
                    let mut node = match out.contains_key(&step) {
                        true => Map::new(),
                        false => self.below(list.item, value),
                    };
                    mark(&mut node);
                    out.insert(step, Value::Object(node));
                }
                out
            }
            _ => Map::new(),
        }
    }

    /// The tree of a map's field; None if neither it nor anything below it is owned.
    fn owned_field(&self, map: &MapType, name: &str, value: &Value) -> Option<Node> {
        let id = map.field(name).unwrap_or(DEDUCED);
        let mut node = self.below(id, value);
        let leaf = match self.form(id, value) {
            Form::Scalar(_) => true,
            Form::Map(map) => map.atomic,
            Form::List(list) => list.relation == Relation::Atomic,
        };
        let bare = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if leaf || bare || !map.fields.contains_key(name) {
            mark(&mut node);
            return Some(node);
        }
        (!node.is_empty()).then_some(node)
    }

    /// What does not fit, as `.spec.foo: field not declared in schema`.
    pub(crate) fn misfits(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.check(self.root, object, "", &mut found);
        found
    }

    fn check(&self, id: TypeId, value: &Value, at: &str, found: &mut Vec<String>) {
        let mut tell = |what: String| {
            found.push(if at.is_empty() { what } else { format!("{at}: {what}") });
        };
        match (self.form(id, value), value) {
            (_, Value::Null) => {}
            (Form::Scalar(scalar), value) => {
                if let Some(what) = misfit(scalar, value) {
                    tell(what);
                }
            }
            (Form::List(list), Value::Array(items)) => self.check_items(list, items, at, found),
            (Form::List(_), other) => tell(format!("expected list, got &{{{}}}", plain(other))),
            (Form::Map(map), Value::Object(fields)) => {
                for (name, value) in fields {
                    let at = format!("{at}.{name}");
                    let Some(id) = map.field(name) else {
                        found.push(format!("{at}: field not declared in schema"));
                        return;
                    };
                    self.check(id, value, &at, found);
                }
            }
            (Form::Map(_), other) => tell(format!("expected map, got &{{{}}}", plain(other))),
        }
    }

    fn check_items(&self, list: &List, items: &[Value], at: &str, found: &mut Vec<String>) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, value) in items.iter().enumerate() {
            let step = if list.relation == Relation::Atomic {
                format!("i:{index}")
            } else {
                match item(list, value) {
                    Ok(step) => step,
                    Err(why) => {
                        found.push(format!("{at}: element {index}: {why}"));
                        return;
                    }
                }
            };
            let name = shown(&step);
            if !seen.insert(step) {
                found.push(format!("{at}: duplicate entries for key {name}"));
            }
            self.check(list.item, value, &format!("{at}{name}"), found);
        }
    }
}

/// Why a value is not of a scalar type, in upstream's words.
fn misfit(scalar: Scalar, value: &Value) -> Option<String> {
    let fits = match scalar {
        Scalar::Numeric => value.is_number(),
        Scalar::Text => value.is_string(),
        Scalar::Boolean => value.is_boolean(),
        Scalar::Any => !value.is_object() && !value.is_array(),
    };
    if fits {
        return None;
    }
    Some(match scalar {
        Scalar::Numeric => format!("expected numeric (int or float), got {}", go_type(value)),
        Scalar::Text => {
            format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_literal(value))
        }
        Scalar::Boolean => format!("expected boolean, got &{{{}}}", plain(value)),
        Scalar::Any => format!("expected any scalar, got &{{{}}}", plain(value)),
    })
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%#v` writes it.
fn go_literal(value: &Value) -> String {
    let join = |parts: Vec<String>| format!("{}{{{}}}", go_type(value), parts.join(", "));
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(items) => join(items.iter().map(go_literal).collect()),
        Value::Object(fields) => {
            join(fields.iter().map(|(k, v)| format!("{k:?}:{}", go_literal(v))).collect())
        }
        scalar => scalar.to_string(),
    }
}

/// A value as Go's `%v` writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::schema::tests::sample;

    #[test]
    fn a_configuration_owns_its_leaves_and_its_items() {
        let object = json!({"apiVersion": "v1", "metadata": {"labels": {"a": "b"}},
            "spec": {"replicas": 1, "selector": {"a": "b"}, "tags": ["x"], "args": ["x"],
                "ports": [{"port": 80}], "nested": {}, "free": {"x": {"y": [1]}}},
            "data": {}});
        let wanted = json!({"f:apiVersion": {}, "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:replicas": {}, "f:selector": {}, "f:tags": {r#"v:"x""#: {}},
                "f:args": {}, "f:nested": {},
                "f:ports": {r#"k:{"port":80,"protocol":"TCP"}"#: {".": {}, "f:port": {}}},
                "f:free": {"f:x": {".": {}, "f:y": {}}}},
            "f:data": {}});
        assert_eq!(sample().fields_of(&object).encode(), wanted);
    }

    #[test]
    fn an_empty_list_of_items_owns_nothing_but_null_does() {
        let object = json!({"spec": {"tags": [], "args": [], "ports": null}});
        let wanted = json!({"f:spec": {"f:args": {}, "f:ports": {}}});
        assert_eq!(sample().fields_of(&object).encode(), wanted);
    }

    #[test]
    fn what_does_not_fit_is_told_as_upstream_tells_it() {
        let cases = [
            (json!({"foo": 1}), ".foo: field not declared in schema"),
            (json!({"spec": {"nested": {"c": 1}}}), ".spec.nested.c: field not declared in schema"),
            (
                json!({"data": {"k": 1}}),
                ".data.k: expected string, got &value.valueUnstructured{Value:1}",
            ),
            (
                json!({"spec": {"replicas": "a"}}),
                ".spec.replicas: expected numeric (int or float), got string",
            ),
            (json!({"spec": {"paused": "no"}}), ".spec.paused: expected boolean, got &{no}"),
            (json!({"spec": {"nested": 1}}), ".spec.nested: expected map, got &{1}"),
            (json!({"spec": {"tags": "a"}}), ".spec.tags: expected list, got &{a}"),
            (
                json!({"spec": {"tags": ["a", "a"]}}),
                r#".spec.tags: duplicate entries for key [="a"]"#,
            ),
            (
                json!({"spec": {"ports": [{"port": 1}, {"port": 1, "protocol": "TCP"}]}}),
                r#".spec.ports: duplicate entries for key [port=1,protocol="TCP"]"#,
            ),
        ];
        for (object, wanted) in cases {
            assert_eq!(sample().misfits(&object), [wanted], "{object}");
        }
        assert!(
            sample().misfits(&json!({"spec": {"free": {"a": [1, {}]}, "text": null}})).is_empty()
        );
    }
}
