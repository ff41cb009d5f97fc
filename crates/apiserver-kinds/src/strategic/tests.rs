use serde_json::json;

use super::*;

fn patched(object: Value, patch: Value) -> Result<Value, String> {
    apply("io.k8s.api.core.v1.Pod", &object, &patch)
}

fn containers(patch: Value) -> Result<Value, String> {
    let pod = json!({"spec": {"containers": [
        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "args": ["x", "y"]},
        {"name": "b", "image": "b:1"}]}});
    patched(pod, json!({"spec": {"containers": patch}}))
        .map(|pod| pod["spec"]["containers"].clone())
}

#[test]
fn lists_of_objects_merge_by_their_key_and_new_ones_come_first() {
    let found = containers(json!([{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]));
    let wanted = json!([
        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "args": ["x", "y"]},
        {"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]);
    assert_eq!(found, Ok(wanted));
    let found = containers(json!([{"name": "c", "image": "c:1"}])).unwrap_or_default();
    let names: Vec<&Value> = found.as_array().into_iter().flatten().map(|c| &c["name"]).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

#[test]
fn very_long_lists_are_merged_in_no_time() {
    // Comparing each with each would be ten thousand million comparisons.
    let many: Vec<String> = (0..100_000).rev().map(|n| format!("f{n}")).collect();
    let object = json!({"metadata": {"finalizers": ["f7", "z"]}});
    let patch = json!({"metadata": {"finalizers": many, "$setElementOrder/finalizers": many}});
    let merged = patched(object, patch).unwrap_or_default();
    let list = merged["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    assert_eq!((list.len(), &list[0], &list[100_000]), (100_001, &json!("f99999"), &json!("z")));
    let all = json!({"metadata": {"finalizers": list}});
    let gone = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": many}});
    assert_eq!(patched(all, gone), Ok(json!({"metadata": {"finalizers": ["z"]}})));
    let named: Vec<Value> = (0..30_000).map(|n| json!({"name": format!("c{n}")})).collect();
    let pod = json!({"spec": {"containers": [{"name": "c1", "image": "a"}]}});
    let merged = patched(pod, json!({"spec": {"containers": named}})).unwrap_or_default();
    assert_eq!(merged["spec"]["containers"][1], json!({"name": "c1", "image": "a"}));
    let gone: Vec<Value> =
        (0..30_000).map(|n| json!({"name": format!("c{n}"), "$patch": "delete"})).collect();
    let left = patched(merged, json!({"spec": {"containers": gone}}));
    assert_eq!(left, Ok(json!({"spec": {"containers": []}})));
}

#[test]
fn elements_and_nested_elements_are_deleted_by_directive() {
    let found = containers(json!([{"name": "a", "$patch": "delete"}]));
    assert_eq!(found, Ok(json!([{"name": "b", "image": "b:1"}])));
    let found = containers(json!([{"name": "a", "args": ["z"],
        "env": [{"name": "X", "$patch": "delete"}, {"name": "Y", "value": "2"}]}]));
    let wanted =
        json!({"name": "a", "image": "a:1", "env": [{"name": "Y", "value": "2"}], "args": ["z"]});
    assert_eq!(found.map(|all| all[0].clone()), Ok(wanted));
}

#[test]
fn a_list_is_replaced_when_an_element_says_so() {
    let found = containers(json!([{"$patch": "replace"}, {"name": "n", "image": "n"}]));
    assert_eq!(found, Ok(json!([{"name": "n", "image": "n"}])));
}

#[test]
fn objects_are_replaced_deleted_or_reduced_to_some_keys() {
    let pod = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {}});
    let labels = |change: Value| {
        let found = patched(pod.clone(), json!({"metadata": {"labels": change}}));
        found.map(|pod| pod["metadata"]["labels"].clone())
    };
    assert_eq!(labels(json!({"c": "3", "a": null})), Ok(json!({"b": "2", "c": "3"})));
    assert_eq!(labels(json!({"$patch": "replace", "c": "3"})), Ok(json!({"c": "3"})));
    assert_eq!(labels(json!({"$patch": "delete"})), Ok(json!({})));
    assert_eq!(labels(json!({"$retainKeys": ["a"], "a": "9"})), Ok(json!({"a": "9"})));
    assert!(labels(json!({"$retainKeys": ["a"], "b": "9"})).is_err());
    assert!(labels(json!({"$patch": "foo"})).is_err());
}

#[test]
fn lists_of_scalars_grow_shrink_and_follow_an_order() {
    let pod = json!({"metadata": {"finalizers": ["a", "b"]}});
    let finalizers = |change: Value| {
        let found = patched(pod.clone(), json!({"metadata": change}));
        found.map(|pod| pod["metadata"]["finalizers"].clone())
    };
    let found = finalizers(json!({"finalizers": ["c", "a"]}));
    assert_eq!(found, Ok(json!(["c", "a", "b"])));
    let found = finalizers(json!({"$deleteFromPrimitiveList/finalizers": ["a"]}));
    assert_eq!(found, Ok(json!(["b"])));
    let found = finalizers(json!({"$setElementOrder/finalizers": ["b", "c", "a"],
        "finalizers": ["c"]}));
    assert_eq!(found, Ok(json!(["b", "c", "a"])));
}

#[test]
fn kubectl_sets_the_order_of_containers() {
    let pod =
        json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}});
    let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
        "containers": [{"name": "a", "image": "2"}]}});
    let wanted = json!([{"name": "b", "image": "1"}, {"name": "a", "image": "2"}]);
    assert_eq!(patched(pod, patch).map(|pod| pod["spec"]["containers"].clone()), Ok(wanted));
}

#[test]
fn nothing_of_a_directive_is_kept_where_there_is_nothing_to_merge_with() {
    let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "a", "image": null}, {"name": "b", "$patch": "delete"}],
        "strategy": {"$retainKeys": ["type"], "type": "x"}}});
    let wanted = json!({"spec": {"containers": [{"name": "a"}], "strategy": {"type": "x"}}});
    assert_eq!(patched(json!({}), patch), Ok(wanted));
}

proptest::proptest! {
    #[test]
    fn no_patch_breaks_anything(object in any_json(), patch in any_json()) {
        drop(patched(json!({"spec": object, "metadata": {"labels": {}}}), json!({"spec": patch})));
    }
}

fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!("replace")),
        Just(json!("delete")),
        Just(json!(1))
    ];
    let names = [
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "name",
        "containers",
        "$deleteFromPrimitiveList/containers",
        "env",
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let key = proptest::sample::select(names.to_vec());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(key, inner, 0..5).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}
