//! Whatever comes in, nothing panics, and what comes out can be read again.

use fleetwright_apiserver_apply::{
    Change, Configuration, FieldSet, Given, Origin, Schema, Writer, apply, take_owners, update,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any value, with names and steps that our code looks at.
fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-c]{0,2}",
        Just("f:a".to_owned()),
        Just(r#"k:{"name":"a"}"#.to_owned()),
        Just("k:{".to_owned()),
        Just(".".to_owned()),
        Just("Apply".to_owned()),
        Just("FieldsV1".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("metadata".to_owned()),
        Just("managedFields".to_owned()),
        Just("fieldsV1".to_owned()),
        Just("operation".to_owned()),
        Just("fieldsType".to_owned()),
        Just("apiVersion".to_owned()),
        Just("spec".to_owned()),
        Just("items".to_owned()),
        Just("tags".to_owned()),
        Just("name".to_owned()),
        text,
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Field sets as they come over the wire.
fn fields() -> impl Strategy<Value = Value> {
    let step = prop_oneof![
        Just("f:a"),
        Just("f:b"),
        Just("f:c"),
        Just(r#"k:{"n":1}"#),
        Just(r#"v:"x""#),
        Just("i:0"),
    ];
    let leaf = Just(json!({}));
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let children = prop::collection::btree_map(step.clone(), inner, 0..4);
        (children, any::<bool>()).prop_map(|(children, itself)| {
            let mut node: Value = children.into_iter().collect();
            if itself && node != json!({}) {
                node["."] = json!({});
            }
            node
        })
    })
    .prop_map(|mut root| {
        root.as_object_mut().map(|root| root.remove("."));
        root
    })
}

fn schema() -> Schema {
    let root = json!({"type": "object", "properties": {
        "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {
            "name": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "items": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object",
                    "properties": {"name": {"type": "string"}, "a": {"type": "integer"}}}}}}}});
    Schema::compile(&root, Origin::BuiltIn, &|_| None)
}

fn object() -> impl Strategy<Value = Value> {
    (value(), value(), value()).prop_map(|(metadata, spec, other)| {
        json!({"apiVersion": "v1", "metadata": metadata, "spec": spec, "b": other})
    })
}

const WRITER: Writer<'_> =
    Writer { manager: "m", subresource: "", api_version: "v1", now: "2026-01-01T00:00:00Z" };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_field_set_that_is_read_can_be_written_and_read(value in value(), fields in fields()) {
        let set = FieldSet::decode(&fields).expect("a field set");
        prop_assert_eq!(set.encode(), fields);
        if let Some(set) = FieldSet::decode(&value) {
            let text = set.clone().encode();
            prop_assert_eq!(FieldSet::decode(&text), Some(set));
        }
    }

    #[test]
    fn set_algebra_holds(one in fields(), other in fields()) {
        let decode = |value| FieldSet::decode(value).expect("a field set");
        let (one, other) = (decode(&one), decode(&other));
        let mut union = one.clone();
        union.unite(other.clone());
        prop_assert_eq!(union.common(&one), one.clone());
        prop_assert_eq!(union.paths().len() + one.common(&other).paths().len(),
            one.paths().len() + other.paths().len());
        let mut rest = one.clone();
        rest.subtract(&other);
        prop_assert!(!rest.touches(&other));
        prop_assert_eq!(one.touches(&other), !one.common(&other).is_empty());
        rest.unite(one.common(&other));
        prop_assert_eq!(rest, one);
    }

    #[test]
    fn applying_anything_to_anything_ends(live in object(), config in object(), free in any::<bool>()) {
        let schema = if free { Schema::undescribed() } else { schema() };
        let asked = Configuration {
            live: &live, bare: &Value::Null, config: &config, force: true, skipped: &["status"],
        };
        if let Ok(applied) = apply(&schema, &asked, &WRITER) {
            let again = Configuration { live: &applied.object, ..asked };
            let twice = apply(&schema, &again, &WRITER).map(|applied| applied.object);
            // What lost all its parts is null, and settles the next time at the latest.
            prop_assert!(twice.is_ok());
        }
    }

    #[test]
    fn updating_anything_to_anything_ends(old in object(), new in object(), create in any::<bool>()) {
        let mut new = new;
        let given = Given::Sent(take_owners(&mut new));
        let change = Change { old: &old, create, skipped: &[], unowned: &["/spec/items/*/a"] };
        update(&schema(), &mut new, given, &change, &WRITER);
    }

    #[test]
    fn any_schema_compiles(root in value(), live in object(), config in object()) {
        let schema = Schema::compile(&root, Origin::BuiltIn, &|_| Some(&root));
        let asked = Configuration {
            live: &live, bare: &Value::Null, config: &config, force: true, skipped: &[],
        };
        let _ended = apply(&schema, &asked, &WRITER);
    }
}
