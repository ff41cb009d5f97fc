//! Applies to a Deployment as a real kube-apiserver 1.36 answered them.

use fleetwright_apiserver_apply::{Configuration, Origin, Schema, Writer, apply};
use serde_json::{Value, json};

/// The parts of a Deployment's schema that the cases touch.
fn schema() -> Schema {
    let named = |properties: Value, keys: Value| {
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
            "items": {"type": "object", "properties": properties,
                "required": ["name", "containerPort"]}})
    };
    let env =
        named(json!({"name": {"type": "string"}, "value": {"type": "string"}}), json!(["name"]));
    let port = json!({"containerPort": {"type": "integer"}, "protocol": {"type": "string"}});
    let ports = named(port, json!(["containerPort", "protocol"]));
    let containers = named(
        json!({"name": {"type": "string"}, "image": {"type": "string"}, "env": env, "ports": ports}),
        json!(["name"]),
    );
    let root = json!({"type": "object", "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"},
            "finalizers": {"type": "array", "items": {"type": "string"},
                "x-kubernetes-list-type": "set"}}},
        "spec": {"type": "object", "properties": {"replicas": {"type": "integer"},
            "containers": containers}}}});
    Schema::compile(&root, Origin::BuiltIn, &|_| None)
}

fn applied(live: &Value, manager: &str, config: Value) -> Result<Value, String> {
    let mut whole =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}});
    for (key, value) in config.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    let asked = Configuration {
        live,
        bare: &Value::Null,
        config: &whole,
        force: false,
        skipped: &["status"],
    };
    let now = "2026-01-01T00:00:00Z";
    let writer = Writer { manager, subresource: "", api_version: "apps/v1", now };
    let applied = apply(&schema(), &asked, &writer);
    applied.map(|applied| applied.object).map_err(|error| error.to_string())
}

fn first() -> Value {
    let config = json!({"metadata": {"name": "d", "finalizers": ["example.com/a"]},
        "spec": {"replicas": 2, "containers": [{"name": "a", "image": "a:1",
            "ports": [{"containerPort": 80}], "env": [{"name": "X", "value": "1"}]}]}});
    applied(&Value::Null, "m1", config).unwrap_or_default()
}

fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array();
    let entry = entries.into_iter().flatten().find(|entry| entry["manager"] == manager);
    entry.map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
}

#[test]
fn the_first_apply_owns_what_it_names() {
    let wanted = json!({
        "f:metadata": {"f:finalizers": {r#"v:"example.com/a""#: {}}},
        "f:spec": {"f:replicas": {}, "f:containers": {r#"k:{"name":"a"}"#: {".": {},
            "f:env": {r#"k:{"name":"X"}"#: {".": {}, "f:name": {}, "f:value": {}}},
            "f:image": {}, "f:name": {},
            "f:ports": {r#"k:{"containerPort":80,"protocol":"TCP"}"#: {".": {},
                "f:containerPort": {}}}}}}});
    assert_eq!(owned(&first(), "m1"), wanted);
}

#[test]
fn a_port_of_another_protocol_is_another_port_and_goes_when_it_is_applied_no_more() {
    let udp = json!({"spec": {"containers": [{"name": "a", "ports":
        [{"containerPort": 80, "protocol": "UDP"}]}]}});
    let two = applied(&first(), "m3", udp).unwrap_or_default();
    let ports = json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]);
    assert_eq!(two["spec"]["containers"][0]["ports"], ports);
    let wanted = json!({"f:spec": {"f:containers": {r#"k:{"name":"a"}"#: {".": {}, "f:name": {},
        "f:ports": {r#"k:{"containerPort":80,"protocol":"UDP"}"#: {".": {},
            "f:containerPort": {}, "f:protocol": {}}}}}}});
    assert_eq!(owned(&two, "m3"), wanted);
    let less = applied(&two, "m3", json!({"spec": {"containers": [{"name": "a"}]}}));
    let less = less.unwrap_or_default();
    assert_eq!(less["spec"]["containers"], first()["spec"]["containers"]);
}

#[test]
fn a_second_manager_shares_a_set_and_adds_an_item() {
    let config = json!({"metadata": {"name": "d", "finalizers": ["example.com/b"]},
        "spec": {"containers": [{"name": "b", "image": "b:1"}]}});
    let both = applied(&first(), "m2", config).unwrap_or_default();
    assert_eq!(both["metadata"]["finalizers"], json!(["example.com/a", "example.com/b"]));
    assert_eq!(both["spec"]["containers"][1], json!({"name": "b", "image": "b:1"}));
    assert_eq!(owned(&both, "m1"), owned(&first(), "m1"));
    let alone = applied(&both, "m2", json!({})).unwrap_or_default();
    assert_eq!(owned(&alone, "m2"), Value::Null);
    assert_eq!(alone["spec"], first()["spec"]);
}

#[test]
fn refusals_read_as_recorded() {
    let env =
        json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}]}]}});
    let conflict = "Apply failed with 1 conflict: conflict with \"m1\": \
                    .spec.containers[name=\"a\"].env[name=\"X\"].value";
    assert_eq!(applied(&first(), "m3", env), Err(conflict.to_owned()));
    let twice = json!({"spec": {"containers": [{"name": "z"}, {"name": "z"}]}});
    let duplicate = ".spec.containers: duplicate entries for key [name=\"z\"]";
    assert_eq!(applied(&first(), "m4", twice), Err(duplicate.to_owned()));
    let unknown = Err(".foo: field not declared in schema".to_owned());
    assert_eq!(applied(&first(), "m4", json!({"foo": 1})), unknown);
}

#[test]
fn an_item_without_its_required_key_is_the_empty_one() {
    let nameless = applied(&first(), "m4", json!({"spec": {"containers": [{"image": "1"}]}}));
    let nameless = nameless.unwrap_or_default();
    assert_eq!(nameless["spec"]["containers"][1], json!({"image": "1"}));
}
