//! What differs between two states of an object, as sets of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::UNOWNED_METADATA;
use crate::element::{are_twins, field, item};
use crate::schema::{DEDUCED, Form, List, MapType, Relation, Schema, TypeId};
use crate::set::{FieldSet, Node, mark};

/// The difference of two states.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference {
    /// Fields that are new, or have another value.
    pub(crate) changed: FieldSet,
    /// Fields that are gone.
    pub(crate) removed: FieldSet,
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Of one node: the tree of what changed at and below it, if anything did.
#[derive(Default)]
struct Diff {
    changed: Option<Node>,
    removed: Option<Node>,
}

impl Diff {
    fn changed() -> Self {
        Self { changed: Some(Map::new()), removed: None }
    }

    fn removed() -> Self {
        Self { changed: None, removed: Some(Map::new()) }
    }
}

/// The children's differences being put together.
#[derive(Default)]
struct Gather {
    changed: Node,
    removed: Node,
}

impl Gather {
    fn add(&mut self, step: impl Fn() -> String, diff: Diff) {
        if let Some(node) = diff.changed {
            self.changed.insert(step(), Value::Object(node));
        }
        if let Some(node) = diff.removed {
            self.removed.insert(step(), Value::Object(node));
        }
    }

    fn finish(self) -> Diff {
        let some = |node: Node| (!node.is_empty()).then_some(node);
        Diff { changed: some(self.changed), removed: some(self.removed) }
    }
}

impl Schema {
    /// Compares two objects but for what nobody owns, and for the `skipped` fields of the root.
    pub(crate) fn compare(&self, old: &Value, new: &Value, skipped: &[&str]) -> Difference {
        let root = MapType { fields: BTreeMap::new(), element: Some(DEDUCED), atomic: false };
        let map = self.node(self.root).map.as_ref().unwrap_or(&root);
        let (old, new) = (old.as_object(), new.as_object());
        let skip = |name: &str| {
            matches!(name, "apiVersion" | "kind" | "metadata") || skipped.contains(&name)
        };
        let mut all = self.compare_fields(map, old, new, &skip);
        let metadata = map.field("metadata").map(|id| self.node(id));
        if let Some(kind) = metadata.and_then(|kind| kind.map.as_ref()) {
            let old = old.and_then(|object| object.get("metadata")).and_then(Value::as_object);
            let new = new.and_then(|object| object.get("metadata")).and_then(Value::as_object);
            let below =
                self.compare_fields(kind, old, new, &|name| UNOWNED_METADATA.contains(&name));
            all.add(|| field("metadata"), below.finish());
        }
        Difference { changed: FieldSet(all.changed), removed: FieldSet(all.removed) }
    }

    /// Of two values that are not equal.
    fn diff(&self, id: TypeId, old: Option<&Value>, new: Option<&Value>) -> Diff {
        let form = |value: &Value| self.form(id, value);
        let (form, both) = match (old, new) {
            (Some(old), Some(new)) => {
                let (before, now) = (form(old), form(new));
                if !before.is_like(now) {
                    return self.diff_forms(before, now, old, new);
                }
                (now, true)
            }
            (Some(one), None) | (None, Some(one)) => (form(one), false),
            (None, None) => return Diff::default(),
        };
        let is_leaf = match form {
            Form::Scalar(_) => true,
            Form::List(list) => list.relation == Relation::Atomic || (is_bare(old) && is_bare(new)),
            Form::Map(map) => map.atomic || (is_bare(old) && is_bare(new)),
        };
        if is_leaf {
            return match (old, new) {
                (None, _) => Diff::changed(),
                (_, None) => Diff::removed(),
                _ => Diff::changed(),
            };
        }
        let mut diff = match form {
            Form::Map(map) => {
                let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                self.compare_fields(map, old, new, &|_| false).finish()
            }
            Form::List(list) => {
                let (old, new) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
                self.diff_items(list, old, new)
            }
            Form::Scalar(_) => Diff::default(),
        };
        if !both {
            // The node itself came or went, with all that is in it.
            let side = if old.is_none() { &mut diff.changed } else { &mut diff.removed };
            mark(side.get_or_insert_default());
        }
        diff
    }

    /// A value that took another form, which only values without a type can.
    fn diff_forms(&self, before: Form<'_>, now: Form<'_>, old: &Value, new: &Value) -> Diff {
        if matches!(before, Form::Scalar(_)) || matches!(now, Form::Scalar(_)) {
            return Diff::changed();
        }
        let below = |form: Form<'_>, old: Option<&Value>, new: Option<&Value>| match form {
            Form::Map(map) => {
                let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                self.compare_fields(map, old, new, &|_| false).finish()
            }
            Form::List(list) if list.relation != Relation::Atomic => {
                let (old, new) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
                self.diff_items(list, old, new)
            }
            _ => Diff::changed(),
        };
        let (gone, come) = (below(before, Some(old), None), below(now, None, Some(new)));
        Diff { changed: come.changed.or(gone.changed), removed: gone.removed }
    }

    fn compare_fields(
        &self,
        map: &MapType,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
        skip: &dyn Fn(&str) -> bool,
    ) -> Gather {
        let mut all = Gather::default();
        // Both are sorted: walk them side by side.
        let mut before = old.into_iter().flatten().peekable();
        let mut now = new.into_iter().flatten().peekable();
        loop {
            let order = match (before.peek(), now.peek()) {
                (Some((one, _)), Some((other, _))) => one.cmp(other),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return all,
            };
            let old = if order.is_le() { before.next() } else { None };
            let new = if order.is_ge() { now.next() } else { None };
            let Some((name, _)) = old.or(new) else { return all };
            if skip(name) {
                continue;
            }
            // Most of an object is as it was, and this is much cheaper than to walk through it.
            if let (Some((_, old)), Some((_, new))) = (old, new)
                && old == new
            {
                continue;
            }
            let id = map.field(name).unwrap_or(DEDUCED);
            let diff = self.diff(id, old.map(|(_, value)| value), new.map(|(_, value)| value));
            all.add(|| field(name), diff);
        }
    }

    /// The common case, of a list whose items all stand where they stood.
    fn diff_in_place(&self, list: &List, old: &[Value], new: &[Value]) -> Option<Diff> {
        let Relation::Keyed(keys) = &list.relation else { return None };
        if old.len() != new.len() {
            return None;
        }
        let mut all = Gather::default();
        for (at, (before, now)) in old.iter().zip(new).enumerate() {
            if before == now {
                continue;
            }
            let others = old.iter().enumerate().chain(new.iter().enumerate());
            let mut others = others.filter(|(other, _)| *other != at);
            let alone = !others.any(|(_, other)| are_twins(keys, now, other));
            if !alone || !are_twins(keys, before, now) {
                return None;
            }
            let step = item(list, now).ok()?;
            let diff = self.diff(list.item, Some(before), Some(now));
            all.add(|| step.clone(), diff);
        }
        Some(all.finish())
    }

    fn diff_items(&self, list: &List, old: Option<&Vec<Value>>, new: Option<&Vec<Value>>) -> Diff {
        if let (Some(old), Some(new)) = (old, new)
            && let Some(diff) = self.diff_in_place(list, old, new)
        {
            return diff;
        }
        let mut items: BTreeMap<String, [Vec<&Value>; 2]> = BTreeMap::new();
        for (side, values) in [old, new].into_iter().enumerate() {
            for value in values.into_iter().flatten() {
                // What has no step cannot be owned.
                if let Ok(step) = item(list, value) {
                    items.entry(step).or_default()[side].push(value);
                }
            }
        }
        let mut all = Gather::default();
        for (step, [old, new]) in items {
            let diff = match (old.as_slice(), new.as_slice()) {
                ([old], [new]) if old == new => Diff::default(),
                ([] | [_], [] | [_]) => {
                    self.diff(list.item, old.first().copied(), new.first().copied())
                }
                // Several items of one name are one value together.
                ([_, _, ..], [_, _, ..]) if old == new => Diff::default(),
                ([_, _, ..], [_, _, ..]) => Diff::changed(),
                ([_, _, ..], now) => {
                    let come = now.first().map(|value| self.diff(list.item, None, Some(value)));
                    Diff { removed: Some(Map::new()), ..come.unwrap_or_default() }
                }
                (before, _) => {
                    let gone = before.first().map(|value| self.diff(list.item, Some(value), None));
                    Diff { changed: Some(Map::new()), ..gone.unwrap_or_default() }
                }
            };
            all.add(|| step.clone(), diff);
        }
        all.finish()
    }
}

/// Absent, null or empty: then a list or map is a leaf.
fn is_bare(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::tests::sample;

    #[track_caller]
    fn check(old: Value, new: Value, changed: Value, removed: Value) {
        let found = sample().compare(&old, &new, &[]);
        assert_eq!(found.changed.encode(), changed, "changed");
        assert_eq!(found.removed.encode(), removed, "removed");
    }

    #[test]
    fn equal_objects_do_not_differ() {
        let object = json!({"spec": {"tags": ["a"], "ports": [{"port": 80}], "nested": {}}});
        check(object.clone(), object, json!({}), json!({}));
    }

    #[test]
    fn a_new_struct_is_new_with_all_its_fields() {
        check(
            json!({}),
            json!({"spec": {"nested": {"a": "1"}, "replicas": 1, "free": {}}}),
            json!({"f:spec": {".": {}, "f:nested": {".": {}, "f:a": {}}, "f:replicas": {},
                "f:free": {}}}),
            json!({}),
        );
    }

    #[test]
    fn a_struct_that_was_there_empty_is_not_new() {
        check(
            json!({"spec": {}}),
            json!({"spec": {"replicas": 1}}),
            json!({"f:spec": {"f:replicas": {}}}),
            json!({}),
        );
    }

    #[test]
    fn items_are_compared_by_their_keys_whatever_their_order() {
        check(
            json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81}]}}),
            json!({"spec": {"ports": [{"port": 82}, {"port": 80, "protocol": "TCP", "name": "b"}]}}),
            json!({"f:spec": {"f:ports": {
                r#"k:{"port":80,"protocol":"TCP"}"#: {"f:name": {}, "f:protocol": {}},
                r#"k:{"port":82,"protocol":"TCP"}"#: {".": {}, "f:port": {}}}}}),
            json!({"f:spec": {"f:ports": {
                r#"k:{"port":81,"protocol":"TCP"}"#: {".": {}, "f:port": {}}}}}),
        );
    }

    #[test]
    fn an_item_that_stays_in_its_place_is_compared_with_itself() {
        let step = r#"k:{"port":81,"protocol":"TCP"}"#;
        let ports = |name: &str, tail: Value| json!({"spec": {"ports": [{"port": 80}, {"port": 81, "name": name}, tail]}});
        let changed = json!({"f:spec": {"f:ports": {step: {"f:name": {}}}}});
        let udp = json!({"port": 81, "protocol": "UDP"});
        check(ports("a", udp.clone()), ports("b", udp.clone()), changed, json!({}));
        // One that takes the place of another is none that stayed.
        let sctp = json!({"port": 81, "protocol": "SCTP"});
        let fields = json!({".": {}, "f:port": {}, "f:protocol": {}});
        let of = |protocol: &str| {
            let step = format!(r#"k:{{"port":81,"protocol":"{protocol}"}}"#);
            json!({"f:spec": {"f:ports": {step: fields}}})
        };
        check(ports("a", udp), ports("a", sctp), of("SCTP"), of("UDP"));
        // And of two with one name, neither is itself.
        let twin = json!({"port": 81});
        let both = json!({"f:spec": {"f:ports": {step: {}}}});
        check(ports("a", twin.clone()), ports("b", twin), both, json!({}));
    }

    #[test]
    fn sets_gain_and_lose_values_and_atomic_things_change_as_one() {
        check(
            json!({"spec": {"tags": ["a", "b"], "args": ["x"], "selector": {"a": "1"}}}),
            json!({"spec": {"tags": ["b", "c"], "args": ["x", "y"], "selector": {"b": "1"}}}),
            json!({"f:spec": {"f:tags": {r#"v:"c""#: {}}, "f:args": {}, "f:selector": {}}}),
            json!({"f:spec": {"f:tags": {r#"v:"a""#: {}}}}),
        );
    }

    #[test]
    fn what_nobody_owns_is_not_compared() {
        check(
            json!({"apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "1"}}),
            json!({"apiVersion": "v2", "metadata": {"name": "b", "labels": {"a": "b"}}}),
            json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}),
            json!({}),
        );
    }

    #[test]
    fn items_of_one_name_are_one_value() {
        let twice = json!({"spec": {"tags": ["a", "a"]}});
        let key = r#"v:"a""#;
        let found = json!({"f:spec": {"f:tags": {key: {}}}});
        check(
            json!({"spec": {"tags": ["b"]}}),
            json!({"spec": {"tags": ["a", "a", "b"]}}),
            found.clone(),
            json!({}),
        );
        check(twice, json!({"spec": {"tags": ["a"]}}), found.clone(), found);
    }
}
