//! Laying a configuration over an object.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::element::item;
use crate::schema::{DEDUCED, Form, List, MapType, Relation, Schema, TypeId};

impl Schema {
    /// The object with everything that the configuration sets.
    pub(crate) fn merge(&self, live: &Value, config: &Value) -> Value {
        self.merged(self.root, Some(live), Some(config)).unwrap_or_default()
    }

    fn merged(&self, id: TypeId, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
        let (live, config) = match (live, config) {
            (Some(live), Some(config)) => (live, config),
            (one, other) => return one.or(other).cloned(),
        };
        let (before, now) = (self.form(id, live), self.form(id, config));
        // Two forms: the configuration wins, but a null says nothing about the form.
        let form = if live.is_null() || before.is_like(now) { now } else { before };
        if !before.is_like(now) && !live.is_null() && !config.is_null() {
            return Some(config.clone());
        }
        let bare = is_bare(live) && is_bare(config);
        match form {
            Form::Map(map) if !map.atomic && !bare => {
                Some(Value::Object(self.merge_fields(map, live, config)))
            }
            Form::List(list) if list.relation != Relation::Atomic && !bare => {
                Some(Value::Array(self.merge_items(list, live, config)))
            }
            _ => Some(config.clone()),
        }
    }

    fn merge_fields(&self, map: &MapType, live: &Value, config: &Value) -> Map<String, Value> {
        let mut out = live.as_object().cloned().unwrap_or_default();
        for (name, value) in config.as_object().into_iter().flatten() {
            let id = map.field(name).unwrap_or(DEDUCED);
            let merged = self.merged(id, out.get(name), Some(value));
            out.insert(name.clone(), merged.unwrap_or_default());
        }
        out
    }

    /// Items of the configuration keep its order among themselves; the others stay where they stood between them.
    fn merge_items(&self, list: &List, live: &Value, config: &Value) -> Vec<Value> {
        let steps = |value: &Value| -> Vec<(String, Value)> {
            let items = value.as_array().into_iter().flatten();
            items.filter_map(|v| Some((item(list, v).ok()?, v.clone()))).collect()
        };
        let (live, config) = (steps(live), steps(config));
        let wanted: BTreeSet<&str> = config.iter().map(|(step, _)| step.as_str()).collect();
        let mut found: BTreeMap<&str, Option<&Value>> = BTreeMap::new();
        for (step, value) in &live {
            // Several items of one name cannot be merged with another.
            found.entry(step).and_modify(|v| *v = None).or_insert(Some(value));
        }
        let mut shared =
            config.iter().map(|(step, _)| step.as_str()).filter(|step| found.contains_key(step));
        let mut next_shared = shared.next();
        let mut out = Vec::with_capacity(live.len().max(config.len()));
        let mut done = BTreeSet::new();
        let (mut at_live, mut at_config) = (0, 0);
        while at_live < live.len() || at_config < config.len() {
            if let Some((step, value)) = live.get(at_live) {
                let both = config.get(at_config).is_some_and(|(other, _)| other == step);
                if !wanted.contains(step.as_str()) {
                    out.push(value.clone());
                    at_live += 1;
                    continue;
                }
                let more = at_config < config.len();
                let later = more && next_shared.is_some_and(|next| next != step);
                if !both && later {
                    at_live += 1;
                    continue;
                }
                at_live += usize::from(both || done.contains(step.as_str()));
            }
            let Some((step, value)) = config.get(at_config) else { continue };
            let twin = found.get(step.as_str()).copied().flatten();
            out.extend(self.merged(list.item, twin, Some(value)));
            done.insert(step.as_str());
            at_config += 1;
            if next_shared == Some(step.as_str()) {
                next_shared = shared.next();
            }
        }
        out
    }
}

fn is_bare(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::tests::sample;

    #[track_caller]
    fn check(live: Value, config: Value, wanted: Value) {
        let wrap = |spec: &Value| json!({"spec": spec});
        assert_eq!(sample().merge(&wrap(&live), &wrap(&config)), wrap(&wanted));
    }

    #[test]
    fn granular_things_merge_and_atomic_things_are_replaced() {
        check(
            json!({"replicas": 1, "nested": {"a": "1"}, "selector": {"a": "1"}, "args": ["x"]}),
            json!({"paused": true, "nested": {"b": "2"}, "selector": {"b": "1"}, "args": ["y"]}),
            json!({"replicas": 1, "paused": true, "nested": {"a": "1", "b": "2"},
                "selector": {"b": "1"}, "args": ["y"]}),
        );
    }

    #[test]
    fn items_meet_by_key_and_sets_by_value() {
        check(
            json!({"tags": ["a", "b"], "ports": [{"port": 80, "protocol": "TCP", "name": "a"}]}),
            json!({"tags": ["b", "c"], "ports": [{"port": 81}, {"port": 80, "name": "b"}]}),
            json!({"tags": ["a", "b", "c"], "ports": [{"port": 81},
                {"port": 80, "protocol": "TCP", "name": "b"}]}),
        );
    }

    #[test]
    fn the_configuration_orders_what_it_names() {
        for (live, config, wanted) in [
            (json!(["a", "b", "c"]), json!(["c", "a"]), json!(["b", "c", "a"])),
            (json!(["a", "b", "c"]), json!(["a", "x", "c"]), json!(["a", "b", "x", "c"])),
            (json!(["a", "b"]), json!(["x"]), json!(["a", "b", "x"])),
            (json!([]), json!(["b", "a"]), json!(["b", "a"])),
        ] {
            check(json!({"tags": live}), json!({"tags": config}), json!({"tags": wanted}));
        }
    }

    #[test]
    fn a_null_replaces_a_scalar_but_not_a_map() {
        check(
            json!({"replicas": 1, "nested": {"a": "1"}}),
            json!({"replicas": null, "nested": null}),
            json!({"replicas": null, "nested": {"a": "1"}}),
        );
    }
}
