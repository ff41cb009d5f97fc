//! Expected texts are those of recorded answers of kube-apiserver 1.36.

use serde_json::json;

use super::*;

fn crd(schema: Value) -> Value {
    let mut crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "bads.inv.example.com"},
        "spec": {"group": "inv.example.com", "scope": "Namespaced",
            "names": {"plural": "bads", "singular": "bad", "kind": "Bad"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}]}});
    default(&mut crd);
    crd
}

/// `field: message` of every cause, for a definition whose field `a` has this schema.
fn problems(a: Value) -> Vec<String> {
    let crd = crd(json!({"type": "object", "properties": {"a": a}}));
    let at = "spec.validation.openAPIV3Schema.properties[a]";
    let told = |cause: &Cause| format!("{}: {}", cause.field.replace(at, "A"), cause.message);
    check_definition(&crd, None).iter().map(told).collect()
}

#[test]
fn schemas_are_refused_in_upstreams_words() {
    for (schema, wanted) in [
        (json!({"type": "string"}), vec![]),
        (
            json!({"properties": {}}),
            vec!["A.type: Required value: must not be empty for specified object fields"],
        ),
        (
            json!({"type": "strng"}),
            vec![
                "A.type: Unsupported value: \"strng\": supported values: \"array\", \"boolean\", \
                 \"integer\", \"number\", \"object\", \"string\"",
            ],
        ),
        (json!({"type": "array"}), vec!["A.items: Required value: must be specified"]),
        (
            json!({"type": "integer", "default": "x"}),
            vec![
                "A.default: Invalid value: \"string\":  in body must be of type integer: \"string\"",
            ],
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}),
            vec![
                "A.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a \
                 list with x-kubernetes-list-type=set",
            ],
        ),
        (
            json!({"type": "string", "pattern": "["}),
            vec![
                "A.pattern: Invalid value: \"[\": must be a valid regular expression, but isn't: \
                 error parsing regexp: missing closing ]: `[`",
            ],
        ),
        (
            json!({"type": "object", "anyOf": [{"type": "string"}]}),
            vec!["A.anyOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            json!({"x-kubernetes-int-or-string": true,
                   "anyOf": [{"type": "integer"}, {"type": "string"}]}),
            vec![],
        ),
        (
            json!({"type": "object", "oneOf": [{"properties": {"b": {"minimum": 1}}}]}),
            vec![
                "A.properties[b]: Required value: because it is defined in A.oneOf[0].properties[b]",
            ],
        ),
    ] {
        let found: Vec<String> = problems(schema.clone())
            .iter()
            .map(|text| text.replace("spec.validation.openAPIV3Schema.properties[a]", "A"))
            .collect();
        assert_eq!(found, wanted, "{schema}");
    }
}

#[test]
fn rules_are_tried_when_they_are_written() {
    let rule = |rule: &str| json!({"type": "string", "x-kubernetes-validations": [{"rule": rule}]});
    assert_eq!(problems(rule("self.startsWith('a')")), Vec::<String>::new());
    let printed = |rule: &str| {
        format!(
            "A.x-kubernetes-validations[0].rule: Invalid value: {{\"Rule\":{rule:?},\"Message\":\"\",\
             \"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\",\"OptionalOldSelf\":null}}: "
        )
    };
    let wanted = format!("{}cel expression must evaluate to a bool", printed("self + 'x'"));
    assert_eq!(problems(rule("self + 'x'")), [wanted]);
    let wanted = format!(
        "{}compilation failed: ERROR: <input>: undeclared reference to 'nosuch' (in container '')",
        printed("self.nosuch()")
    );
    assert_eq!(problems(rule("self.nosuch()")), [wanted]);
    let broken = problems(rule("self ==="));
    assert!(broken[0].contains("compilation failed: "), "{broken:?}");
    // What has a name is a variable here, and only `self` and `oldSelf` are there.
    let dear = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [
        {"rule": "self.all(x, self.all(y, self.all(z, x == y || y == z)))"}]});
    assert_eq!(problems(dear).len(), 3);
    let bounded = json!({"type": "array", "maxItems": 10, "items": {"type": "string"},
        "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x == y))"}]});
    assert_eq!(problems(bounded), Vec::<String>::new());
}

#[test]
fn a_loop_over_a_copy_costs_what_a_loop_over_the_list_does() {
    let list = |limit: &str, rule: &str| {
        let mut list = json!({"type": "array", "items": {"type": "string"},
            "x-kubernetes-validations": [{"rule": rule}]});
        list["maxItems"] = serde_json::from_str(limit).unwrap_or_default();
        problems(list)
    };
    for rule in [
        "self.map(a, a).all(a, self.map(b, b).all(b, self.map(c, c).all(c, true)))",
        "self.filter(a, true).all(a, self.filter(b, true).all(b, self.all(c, true)))",
        "(self + self).all(a, (self + self).all(b, (self + []).all(c, true)))",
        "(true ? self : []).all(a, (true ? self : []).all(b, self.all(c, true)))",
    ] {
        let dear = list("10000", rule);
        assert!(dear.iter().any(|why| why.contains("estimated rule cost")), "{rule}: {dear:?}");
        assert_eq!(list("50", rule), Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn names_are_filled_in_and_versions_remembered() {
    let made = crd(json!({"type": "object"}));
    assert_eq!(made["spec"]["names"]["listKind"], "BadList");
    assert_eq!(made["spec"]["conversion"], json!({"strategy": "None"}));
    let wanted = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"]});
    assert_eq!(made["status"], wanted);
}

#[test]
fn conditions_follow_the_names_and_keep_their_times() {
    let (then, later) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let at = |text: &str| text.parse().unwrap_or_default();
    let mut made = crd(json!({"type": "object"}));
    let status = settle(&made, &[], false, at(then)).unwrap_or_default();
    assert_eq!(status["acceptedNames"]["plural"], "bads");
    made["status"] = status.clone();
    assert!(is_established(&made));
    assert_eq!(settle(&made, &[&made], false, at(later)), None);
    let mut other = crd(json!({"type": "object"}));
    other["metadata"]["name"] = json!("goods.inv.example.com");
    other["spec"]["names"]["plural"] = json!("goods");
    let refused = settle(&other, &[&made, &other], false, at(later)).unwrap_or_default();
    let first = &refused["conditions"][0];
    assert_eq!((&first["reason"], &first["status"]), (&json!("ListKindConflict"), &json!("False")));
    assert_eq!(first["message"], "\"BadList\" is already in use");
    other["status"] = refused;
    assert!(!is_established(&other));
}

#[test]
fn what_the_instances_rest_on_cannot_change() {
    let old = {
        let mut old = crd(json!({"type": "object"}));
        old["status"] = settle(&old, &[], false, Timestamp::UNIX_EPOCH).unwrap_or_default();
        old
    };
    let mut new = old.clone();
    new["spec"]["scope"] = json!("Cluster");
    new["spec"]["names"]["kind"] = json!("Worse");
    let fields: Vec<String> =
        check_definition(&new, Some(&old)).into_iter().map(|cause| cause.field).collect();
    assert_eq!(fields, ["spec.scope", "spec.names.kind"]);
    let mut moved = old.clone();
    moved["spec"]["versions"][0]["name"] = json!("v2");
    default(&mut moved);
    let causes = check_definition(&moved, Some(&old));
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].field, "status.storedVersions[0]");
}
