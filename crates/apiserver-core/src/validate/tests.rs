use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{kind, ship, ship_crd};

fn object(spec: Value) -> Value {
    json!({"apiVersion": "sea.example.com/v1", "kind": "Ship", "metadata": {"name": "a"}, "spec": spec})
}

/// `field: message` of every cause.
fn problems(spec: Value, old: Option<Value>) -> Vec<String> {
    let old = old.map(object);
    let findings = validate(&ship(), &object(spec), old.as_ref());
    findings.causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

const NOT_CHECKED: &str = "<nil>: Invalid value: null: some validation rules were not checked \
    because the object was invalid; correct the existing errors to complete validation";

#[test]
fn every_violation_is_worded_as_upstream_words_it() {
    for (spec, wanted, blocks) in [
        (json!({}), "spec.flag: Required value", true),
        (
            json!({"flag": "green"}),
            "spec.flag: Unsupported value: \"green\": supported values: \"red\", \"blue\"",
            true,
        ),
        (
            json!({"flag": "red", "crew": 0}),
            "spec.crew: Invalid value: 0: spec.crew in body should be greater than or equal to 1",
            false,
        ),
        (
            json!({"flag": "red", "crew": 99}),
            "spec.crew: Invalid value: 99: spec.crew in body should be less than or equal to 10",
            false,
        ),
        (
            json!({"flag": "red", "crew": "3"}),
            "spec.crew: Invalid value: \"string\": spec.crew in body must be of type integer: \"string\"",
            true,
        ),
        (
            json!({"flag": "red", "port": true}),
            "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \
             \"boolean\"",
            true,
        ),
        (
            json!({"flag": "red", "code": "A"}),
            "spec.code: Invalid value: \"A\": spec.code in body should match '^[a-z]+$'",
            false,
        ),
        (
            json!({"flag": "red", "code": "abcdef"}),
            "spec.code: Too long: may not be more than 5 bytes",
            true,
        ),
        (
            json!({"flag": "red", "tags": ["a", "b", "c", "d"]}),
            "spec.tags: Too many: 4: must have at most 3 items",
            true,
        ),
        (json!({"flag": "red", "tags": ["a", "a"]}), "spec.tags[1]: Duplicate value: \"a\"", false),
        (
            json!({"flag": "red", "holds": [{"name": "i"}, {"name": "i", "size": 1}]}),
            "spec.holds[1]: Duplicate value: {\"name\":\"i\"}",
            false,
        ),
        (
            json!({"flag": "red", "limits": {"k": 1}}),
            "spec.limits.k: Invalid value: \"integer\": spec.limits.k in body must be of type string: \
             \"integer\"",
            true,
        ),
        (
            json!({"flag": "red", "when": "noon"}),
            "spec.when: Invalid value: \"noon\": spec.when in body must be of type date-time: \"noon\"",
            false,
        ),
    ] {
        let mut expected = vec![wanted.to_owned()];
        expected.extend(blocks.then(|| NOT_CHECKED.to_owned()));
        assert_eq!(problems(spec.clone(), None), expected, "{spec}");
    }
}

#[test]
fn a_fraction_for_an_integer_is_refused_twice_as_upstream_does() {
    let wanted = [
        "spec.crew: Invalid value: \"number\": spec.crew in body must be of type integer: \"number\"",
        "<nil>: Invalid value: \"\": Checked value must be of type integer (default format) in spec.crew",
        NOT_CHECKED,
    ];
    assert_eq!(problems(json!({"flag": "red", "crew": 1.5}), None), wanted);
}

#[test]
fn what_the_schema_allows_is_let_pass() {
    let spec = json!({"flag": "red", "crew": 2.0, "port": "http", "note": null, "ratio": 1,
        "free": {"any": [1]}, "when": "2026-01-02T03:04:05Z", "low": 1, "high": 1});
    assert_eq!(problems(spec, None), Vec::<String>::new());
}

#[test]
fn the_status_is_checked_by_itself() {
    let old = json!({"apiVersion": "sea.example.com/v1", "kind": "Ship", "metadata": {"name": "a"},
        "spec": {"flag": "green"}});
    let mut new = old.clone();
    new["status"] = json!({"phase": 1});
    let findings = validate_part(&ship(), &new, Some(&old), true);
    let found: Vec<String> =
        findings.causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    let wanted = "status.phase: Invalid value: \"integer\": phase in body must be of type string: \
                  \"integer\"";
    assert_eq!(found, [wanted, NOT_CHECKED]);
}

#[test]
fn a_rule_below_a_changed_field_is_let_pass_where_its_own_value_did_not_change() {
    let bad = json!({"flag": "red", "code": "a", "holds": [{"name": "h", "size": 3}], "low": 1});
    let findings = |old: Value, new: Value| {
        let found = validate(&ship(), &object(new), Some(&object(old)));
        (found.causes.len(), found.warnings)
    };
    // `low` changes, so the rules of `spec` see another value; `code` is broken as before.
    let mut old = bad.clone();
    old["code"] = json!("bad");
    let mut new = old.clone();
    new["low"] = json!(2);
    assert_eq!(findings(old, new), (1, vec![]));
}

#[test]
fn rules_answer_with_their_message_reason_and_path() {
    let wanted = "spec: Invalid value: low must not exceed high".to_owned();
    assert_eq!(problems(json!({"flag": "red", "low": 5, "high": 1}), None), [wanted]);
    let wanted = "spec.code: Forbidden: code is bad".to_owned();
    assert_eq!(problems(json!({"flag": "red", "code": "bad"}), None), [wanted]);
}

#[test]
fn transition_rules_compare_with_the_old_object() {
    let at = |home: &str| json!({"flag": "red", "home": home});
    assert_eq!(problems(at("two"), None), Vec::<String>::new());
    assert_eq!(problems(at("one"), Some(at("one"))), Vec::<String>::new());
    let wanted = "spec.home: Invalid value: \"two\": home is immutable".to_owned();
    assert_eq!(problems(at("two"), Some(at("one"))), [wanted]);
}

#[test]
fn items_of_a_list_map_are_compared_with_the_item_of_the_same_name() {
    let holds = |list: Value| json!({"flag": "red", "holds": list});
    let old = holds(json!([{"name": "a", "size": 9}, {"name": "b", "size": 2}]));
    // In front of `a` comes a new, smaller hold, and the order of the others changes.
    let moved =
        json!([{"name": "new", "size": 1}, {"name": "b", "size": 2}, {"name": "a", "size": 9}]);
    assert_eq!(problems(holds(moved), Some(old.clone())), Vec::<String>::new());
    let shrunk = json!([{"name": "b", "size": 2}, {"name": "a", "size": 8}]);
    let wanted = "spec.holds[1].size: Invalid value: 8: a hold never shrinks".to_owned();
    assert_eq!(problems(holds(shrunk), Some(old)), [wanted]);
}

#[test]
fn invalid_values_that_do_not_change_are_tolerated() {
    let bad = json!({"flag": "green", "low": 5, "high": 1, "tags": ["a", "a"]});
    assert_eq!(problems(bad.clone(), Some(bad.clone())), Vec::<String>::new());
    let findings = validate(&ship(), &object(bad.clone()), Some(&object(bad.clone())));
    assert_eq!(findings.warnings, ["spec: Invalid value: low must not exceed high"]);
    let mut grown = bad.clone();
    grown["tags"] = json!(["a", "a", "b"]);
    let wanted = ["spec: Invalid value: low must not exceed high".to_owned()];
    assert_eq!(problems(grown, Some(bad)), wanted);
    // What was missing before is still missing, but its neighbour changed.
    let without = problems(json!({"crew": 2}), Some(json!({"crew": 1})));
    assert_eq!(without.first().map(String::as_str), Some("spec.flag: Required value"));
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses_the_object() {
    let mut crd = ship_crd();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations";
    if let Some(rules) = crd.pointer_mut(spec) {
        *rules = json!([{"rule": "self.nosuch == 1"}, {"rule": "1 + 1"},
            {"rule": "self.unknownFunction()"}]);
    }
    let scheme = crate::scheme::Scheme::builtin().with_crd(&crd);
    let scheme = scheme.unwrap_or_else(|_| crate::scheme::Scheme::builtin());
    let found = scheme
        .find("sea.example.com", "v1", "ships")
        .map(|rt| validate(rt, &object(json!({"flag": "red"})), None).causes.len());
    assert_eq!(found, Some(3));
}

#[test]
fn unknown_fields_are_pruned_and_named() {
    let mut found = object(json!({"flag": "red", "nosuch": 1, "free": {"any": {"x": 1}},
        "holds": [{"name": "h", "x": 1}], "limits": {"k": "v"}}));
    found["other"] = json!(5);
    found["metadata"]["foo"] = json!("bar");
    let unknown = prune(&ship(), &mut found);
    assert_eq!(unknown, ["metadata.foo", "other", "spec.holds[0].x", "spec.nosuch"]);
    let wanted = json!({"flag": "red", "free": {"any": {"x": 1}}, "holds": [{"name": "h"}],
        "limits": {"k": "v"}});
    assert_eq!(found, object(wanted));
}

#[test]
fn nulls_are_dropped_where_not_nullable_and_defaults_filled_in() {
    let mut found = object(json!({"flag": "red", "note": null, "code": null, "crew": null,
        "holds": [{"name": "h"}]}));
    apply_defaults(&ship(), &mut found);
    let wanted =
        json!({"flag": "red", "note": null, "crew": 3, "holds": [{"name": "h", "kind": "Dry"}]});
    assert_eq!(found["spec"], wanted);
}

#[test]
fn combinations_of_schemas_are_checked() {
    let mut crd = ship_crd();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    if let Some(schema) = crd.pointer_mut(spec) {
        schema["oneOf"] = json!([{"required": ["low"]}, {"required": ["high"]}]);
        schema["not"] = json!({"required": ["code"]});
        schema["anyOf"] = json!([{"required": ["flag"]}, {"required": ["note"]}]);
    }
    let scheme = crate::scheme::Scheme::builtin()
        .with_crd(&crd)
        .unwrap_or_else(|_| crate::testing::scheme());
    let count = |spec: Value| {
        let rt = scheme.find("sea.example.com", "v1", "ships");
        rt.map(|rt| {
            schema::check(rt, &object(spec), None)
                .causes
                .iter()
                .map(|c| c.message.clone())
                .collect::<Vec<_>>()
        })
    };
    let one = "Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf).";
    assert_eq!(count(json!({"flag": "red", "low": 1})), Some(vec![]));
    let none = vec![format!("{one} Found none valid"), "Required value".to_owned()];
    assert_eq!(count(json!({"flag": "red"})), Some(none));
    let both = vec![
        format!("{one} Found 2 valid alternatives"),
        "Invalid value: \"\": \"spec\" must not validate the schema (not)".to_owned(),
    ];
    assert_eq!(count(json!({"flag": "red", "low": 1, "high": 2, "code": "x"})), Some(both));
}

#[test]
fn builtin_schemas_know_quantities_ports_and_times() {
    let node = json!({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": 4, "memory": "8Gi"},
        "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T03:04:05Z"}]}});
    assert_eq!(schema::check(&kind("", "nodes"), &node, None).causes, Vec::new());
    let policy = json!({"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": true}]}]}});
    let causes = schema::check(&kind("networking.k8s.io", "networkpolicies"), &policy, None).causes;
    assert_eq!(causes.len(), 1);
}

#[test]
fn paths_are_looked_up_as_they_are_written() {
    let value = json!({"a": [{"b": 1}], "m": {"x/y": 2}});
    assert_eq!(lookup(&value, "a[0].b"), Some(&json!(1)));
    assert_eq!(lookup(&value, "m[x/y]"), Some(&json!(2)));
    assert_eq!(lookup(&value, "a[1].b"), None);
}

/// Anything a client may send in a spec: known fields and unknown ones, right and wrong values.
fn any_spec() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..12).prop_map(Value::from),
        Just(json!(1.5)),
        "[a-c]{0,3}|red|bad".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        let keys = prop_oneof![
            Just("name".to_owned()),
            Just("size".to_owned()),
            Just("kind".to_owned()),
            "[x-z]".prop_map(String::from)
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|map| json!(map)),
        ]
    });
    let known = [
        "flag", "crew", "code", "port", "free", "note", "when", "ratio", "home", "low", "high",
        "tags", "limits", "holds", "other",
    ];
    let field = prop::sample::select(known.to_vec()).prop_map(str::to_owned);
    prop::collection::btree_map(field, value, 0..8).prop_map(|map| json!(map))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn pruning_twice_prunes_nothing_more(spec in any_spec()) {
        let mut once = object(spec);
        prune(&ship(), &mut once);
        let mut twice = once.clone();
        prop_assert_eq!(prune(&ship(), &mut twice), Vec::<String>::new());
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn defaulting_twice_fills_in_nothing_more(spec in any_spec()) {
        let mut once = object(spec);
        apply_defaults(&ship(), &mut once);
        let mut twice = once.clone();
        apply_defaults(&ship(), &mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn what_did_not_change_is_never_refused(spec in any_spec()) {
        let stored = object(spec);
        let mut next = stored.clone();
        next["metadata"]["labels"] = json!({"seen": "yes"});
        let causes = validate(&ship(), &next, Some(&stored)).causes;
        // A transition rule compares with the past whatever changed; equal values keep all of ours.
        prop_assert_eq!(causes, Vec::new());
    }

    #[test]
    fn any_document_is_judged_without_a_panic(spec in any_spec()) {
        let mut crd = crate::testing::ship_crd();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = spec;
        crate::crd::default(&mut crd);
        let _causes = crate::crd::check_definition(&crd, None);
    }
}
