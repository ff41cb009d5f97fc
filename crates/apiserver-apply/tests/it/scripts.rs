//! Random scripts of several managers against a model that fits on a page: who owns which key of a map.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_apiserver_apply::{
    ApplyError, Change, Configuration, Given, Origin, Schema, Writer, apply, take_owners, update,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Data = BTreeMap<String, String>;

#[derive(Debug, Clone)]
enum Step {
    Apply { manager: String, data: Data, force: bool },
    Set { manager: String, data: Data },
    Unset { manager: String, key: String },
}

fn key() -> impl Strategy<Value = String> {
    "[a-d]"
}

fn data() -> impl Strategy<Value = Data> {
    prop::collection::btree_map(key(), "[12]", 1..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => ("[xyz]", data(), any::<bool>())
            .prop_map(|(manager, data, force)| Step::Apply { manager, data, force }),
        1 => ("[uv]", data()).prop_map(|(manager, data)| Step::Set { manager, data }),
        1 => ("[uv]", key()).prop_map(|(manager, key)| Step::Unset { manager, key }),
    ]
}

/// What must be so.
#[derive(Debug, Default, PartialEq)]
struct Model {
    data: Data,
    /// By manager and operation.
    owners: BTreeMap<(String, &'static str), BTreeSet<String>>,
}

impl Model {
    fn lose(&mut self, keys: &BTreeSet<String>, but: Option<&(String, &'static str)>) {
        for (owner, own) in &mut self.owners {
            if Some(owner) != but {
                own.retain(|key| !keys.contains(key));
            }
        }
        self.owners.retain(|_, own| !own.is_empty());
    }

    fn changed(&self, data: &Data) -> BTreeSet<String> {
        let other = |(key, value): &(&String, &String)| self.data.get(*key) != Some(*value);
        data.iter().filter(other).map(|(key, _)| key.clone()).collect()
    }

    /// `Err` with the conflicts: owner and key.
    fn run(&mut self, step: &Step) -> Result<(), BTreeSet<(String, String)>> {
        match step {
            Step::Apply { manager, data, force } => {
                let me = (manager.clone(), "Apply");
                let changed = self.changed(data);
                let others = self.owners.iter().filter(|(owner, _)| **owner != me);
                let conflicts: BTreeSet<(String, String)> = others
                    .flat_map(|((name, _), own)| {
                        own.intersection(&changed).map(move |key| (name.clone(), key.clone()))
                    })
                    .collect();
                if !conflicts.is_empty() && !force {
                    return Err(conflicts);
                }
                self.lose(&changed, Some(&me));
                let last = self.owners.insert(me.clone(), data.keys().cloned().collect());
                self.data.extend(data.clone());
                let left: BTreeSet<String> = last.unwrap_or_default();
                for key in left.iter().filter(|key| !data.contains_key(*key)) {
                    if !self.owners.values().any(|own| own.contains(key)) {
                        self.data.remove(key);
                    }
                }
            }
            Step::Set { manager, data } => {
                let changed = self.changed(data);
                self.lose(&changed, None);
                self.data.extend(data.clone());
                if !changed.is_empty() {
                    self.owners.entry((manager.clone(), "Update")).or_default().extend(changed);
                }
            }
            Step::Unset { key, .. } => {
                self.data.remove(key);
                self.lose(&BTreeSet::from([key.clone()]), None);
            }
        }
        Ok(())
    }

    fn seen(object: &Value) -> Self {
        let mut model = Self::default();
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            model.data.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        let entries = object["metadata"]["managedFields"].as_array();
        for entry in entries.into_iter().flatten() {
            let operation = if entry["operation"] == "Apply" { "Apply" } else { "Update" };
            let manager = entry["manager"].as_str().unwrap_or_default().to_owned();
            let fields = entry["fieldsV1"]["f:data"].as_object();
            let keys = fields.into_iter().flatten();
            let keys: BTreeSet<String> =
                keys.filter_map(|(step, _)| step.strip_prefix("f:").map(str::to_owned)).collect();
            // The map itself may be owned by whoever made it.
            if !keys.is_empty() {
                model.owners.insert((manager, operation), keys);
            }
        }
        model
    }
}

fn schema() -> Schema {
    let root = json!({"type": "object", "properties": {"metadata": {"type": "object"},
        "data": {"type": "object", "additionalProperties": {"type": "string"}}}});
    Schema::compile(&root, Origin::BuiltIn, &|_| None)
}

fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, subresource: "", api_version: "v1", now: "2026-01-01T00:00:00Z" }
}

/// Runs one step on the object; the conflicts as the model has them.
fn run(schema: &Schema, object: &mut Value, step: &Step) -> Result<(), BTreeSet<(String, String)>> {
    let bare = json!({"apiVersion": "v1", "metadata": {"uid": "1"}});
    match step {
        Step::Apply { manager, data, force } => {
            let config = json!({"apiVersion": "v1", "metadata": {"name": "a"}, "data": data});
            let asked = Configuration {
                live: object,
                bare: &bare,
                config: &config,
                force: *force,
                skipped: &[],
            };
            match apply(schema, &asked, &writer(manager)) {
                Ok(applied) => {
                    let again = Configuration { live: &applied.object, ..asked };
                    let again = apply(schema, &again, &writer(manager)).expect("the same again");
                    assert!(!again.changed, "applying twice changes nothing");
                    assert_eq!(again.object, applied.object);
                    *object = applied.object;
                    Ok(())
                }
                Err(ApplyError::Conflicts(conflicts)) => Err(conflicts
                    .iter()
                    .map(|conflict| {
                        let owner = conflict.owner.split('"').nth(1).unwrap_or_default();
                        (owner.to_owned(), conflict.field.replace(".data.", ""))
                    })
                    .collect()),
                Err(other) => panic!("{other}"),
            }
        }
        Step::Set { manager, data } => {
            write(schema, object, manager, |map| {
                map.extend(data.iter().map(|(key, value)| (key.clone(), json!(value))));
            });
            Ok(())
        }
        Step::Unset { manager, key } => {
            write(schema, object, manager, |map| drop(map.remove(key)));
            Ok(())
        }
    }
}

fn write(
    schema: &Schema,
    object: &mut Value,
    manager: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    let old = object.clone();
    let given = Given::Sent(take_owners(object));
    if !object["data"].is_object() {
        object["data"] = json!({});
    }
    if let Some(map) = object["data"].as_object_mut() {
        change(map);
    }
    let change = Change { old: &old, create: false, skipped: &[], unowned: &[] };
    update(schema, object, given, &change, &writer(manager));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn scripts_of_many_managers_go_as_the_model_says(steps in prop::collection::vec(step(), 1..20)) {
        let schema = schema();
        let first = Step::Apply {
            manager: "x".to_owned(),
            data: BTreeMap::from([("z".to_owned(), "1".to_owned())]),
            force: false,
        };
        let mut object = json!({"apiVersion": "v1", "metadata": {"name": "a", "uid": "1"}});
        let mut model = Model::default();
        for step in std::iter::once(&first).chain(&steps) {
            let (wanted, found) = (model.run(step), run(&schema, &mut object, step));
            prop_assert_eq!(found, wanted);
            let seen = Model::seen(&object);
            // Without owners nothing is tracked until the next apply.
            if model.owners.is_empty() || seen.owners.is_empty() {
                return Ok(());
            }
            prop_assert_eq!(seen, Model { data: model.data.clone(), owners: model.owners.clone() });
        }
    }
}
