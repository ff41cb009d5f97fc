//! Taking a set of fields out of an object.

use serde_json::{Map, Value};

use crate::element::{field, item};
use crate::schema::{DEDUCED, Form, Relation, Schema, TypeId};
use crate::set::{FieldSet, Node, children, is_member};

impl Schema {
    /// The object without these fields and all that lies below them.
    pub(crate) fn remove(&self, object: Value, fields: &FieldSet) -> Value {
        if fields.is_empty() {
            return object;
        }
        self.without(self.root, object, &fields.0)
    }

    /// What loses all its parts is null, as upstream leaves it.
    fn without(&self, id: TypeId, value: Value, fields: &Node) -> Value {
        match (self.form(id, &value), value) {
            (Form::Map(map), Value::Object(object)) if !map.atomic && !object.is_empty() => {
                let mut out = Map::new();
                for (name, value) in object {
                    match tree(fields, &field(&name)) {
                        None => drop(out.insert(name, value)),
                        Some(node) if is_member(node) => {}
                        Some(node) => {
                            let id = map.field(&name).unwrap_or(DEDUCED);
                            out.insert(name, self.without(id, value, node));
                        }
                    }
                }
                if out.is_empty() { Value::Null } else { Value::Object(out) }
            }
            (Form::List(list), Value::Array(items))
                if list.relation != Relation::Atomic && !items.is_empty() =>
            {
                let kept = items.into_iter().filter_map(|value| {
                    let step = item(list, &value).unwrap_or_default();
                    match tree(fields, &step) {
                        None => Some(value),
                        Some(node) if is_member(node) => None,
                        Some(node) => Some(self.without(list.item, value, node)),
                    }
                });
                let kept: Vec<Value> = kept.collect();
                if kept.is_empty() { Value::Null } else { Value::Array(kept) }
            }
            (Form::Scalar(_), value) => value,
            // An atomic thing has no parts to lose, but was asked to lose some.
            (_, value) if children(fields).next().is_some() => {
                if value.is_object() || value.is_array() { Value::Null } else { value }
            }
            (_, value) => value,
        }
    }
}

fn tree<'a>(fields: &'a Node, step: &str) -> Option<&'a Node> {
    fields.get(step).and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::tests::sample;

    #[test]
    fn fields_and_items_go_with_all_that_is_in_them() {
        let object = json!({"data": {"a": "1", "b": "2"}, "spec": {"tags": ["x", "y"],
            "ports": [{"port": 80, "name": "a"}, {"port": 81}], "nested": {"a": "1"}}});
        let fields = FieldSet::decode(&json!({"f:data": {"f:a": {}}, "f:spec": {
            "f:tags": {r#"v:"x""#: {}}, "f:nested": {},
            "f:ports": {r#"k:{"port":80,"protocol":"TCP"}"#: {"f:name": {}},
                r#"k:{"port":81,"protocol":"TCP"}"#: {".": {}, "f:port": {}}}}}));
        let wanted = json!({"data": {"b": "2"}, "spec": {"tags": ["y"], "ports": [{"port": 80}]}});
        assert_eq!(sample().remove(object, &fields.unwrap_or_default()), wanted);
    }
}
