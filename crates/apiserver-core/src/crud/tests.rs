use serde_json::{Value, json};

use super::*;
use crate::request::Propagation;
use crate::testing::{kind, ship};

const NOW: &str = "2026-01-02T03:04:05Z";

fn now() -> Timestamp {
    format!("{}.987654Z", NOW.trim_end_matches('Z')).parse().unwrap_or_default()
}

fn birth() -> Birth {
    Birth { uid: "uid-1".into(), suffix: "abcde".into() }
}

/// Creates as the given kind in namespace `n`.
fn created(rt: &ResourceType, body: Value, options: &Options) -> Result<Admitted, ApiError> {
    let namespace = rt.namespaced.then_some("n");
    create(&Context { rt, namespace, now: now(), options }, body.into(), birth())
}

fn stored(rt: &ResourceType, body: Value) -> Value {
    let made = created(rt, body, &Options::default());
    let mut object = made.map(|made| made.object).unwrap_or_else(|error| error.body());
    object["metadata"]["resourceVersion"] = json!("7");
    object
}

fn merged(rt: &ResourceType, old: &Value, part: Part, change: Value) -> Result<Admitted, ApiError> {
    let options = Options::default();
    let namespace = rt.namespaced.then_some("n");
    let ctx = Context { rt, namespace, now: now(), options: &options };
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    patch(&ctx, name, part, old, (BodyKind::MergePatch, &change.into()))
}

fn replaced(rt: &ResourceType, old: &Value, body: Value) -> Result<Admitted, ApiError> {
    let options = Options::default();
    let namespace = rt.namespaced.then_some("n");
    let ctx = Context { rt, namespace, now: now(), options: &options };
    update(&ctx, "a", Part::Main, old, body.into())
}

fn deleted(rt: &ResourceType, old: &Value, options: &DeleteOptions) -> Result<Deletion, ApiError> {
    let query = Options::default();
    delete(&Context { rt, namespace: Some("n"), now: now(), options: &query }, old, options)
}

/// HTTP code and message of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (u16, String) {
    match result {
        Ok(value) => (200, format!("{value:?}")),
        Err(error) => (error.code(), error.to_string()),
    }
}

fn a_ship(spec: Value) -> Value {
    json!({"apiVersion": "sea.example.com/v1", "kind": "Ship", "metadata": {"name": "a"}, "spec": spec})
}

fn a_map(extra: Value) -> Value {
    let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    merge_patch(&mut map, &extra);
    map
}

/// The entry of whoever names no manager.
fn owner(subresource: &str, fields: Value) -> Value {
    let mut entry = json!({"manager": "unknown", "operation": "Update", "time": NOW,
        "apiVersion": "sea.example.com/v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
    if !subresource.is_empty() {
        entry["subresource"] = json!(subresource);
    }
    entry
}

#[test]
fn a_new_custom_object_gets_defaults_and_metadata_and_loses_its_status() {
    let mut body = a_ship(json!({"flag": "red", "holds": [{"name": "h"}]}));
    body["status"] = json!({"phase": "x"});
    body["metadata"]["managedFields"] = json!([{"manager": "m"}]);
    body["metadata"]["creationTimestamp"] = Value::Null;
    let wanted = json!({
        "apiVersion": "sea.example.com/v1", "kind": "Ship",
        "metadata": {"name": "a", "namespace": "n", "uid": "uid-1", "generation": 1,
            "creationTimestamp": NOW, "resourceVersion": "7", "managedFields": [owner("", json!(
            {"f:spec": {".": {}, "f:flag": {}, "f:crew": {}, "f:holds": {".": {},
                r#"k:{"name":"h"}"#: {".": {}, "f:name": {}, "f:kind": {}}}}}))]},
        "spec": {"flag": "red", "crew": 3, "holds": [{"name": "h", "kind": "Dry"}]}});
    assert_eq!(stored(&ship(), body), wanted);
}

#[test]
fn uid_and_times_given_by_the_client_are_replaced_on_create() {
    let body = a_map(json!({"metadata": {"uid": "mine", "generation": 7,
        "creationTimestamp": "2000-01-01T00:00:00Z", "deletionTimestamp": "2000-01-01T00:00:00Z"}}));
    let wanted = json!({"name": "a", "namespace": "n", "uid": "uid-1", "generation": 7,
        "creationTimestamp": NOW, "resourceVersion": "7"});
    assert_eq!(stored(&kind("", "configmaps"), body)["metadata"], wanted);
}

#[test]
fn names_are_generated_required_and_checked() {
    let rt = kind("", "configmaps");
    let body = json!({"metadata": {"generateName": "gen-"}});
    assert_eq!(stored(&rt, body)["metadata"]["name"], "gen-abcde");
    let options = Options::default();
    let nameless = "ConfigMap \"\" is invalid: metadata.name: Required value: name or \
                    generateName is required";
    assert_eq!(refusal(created(&rt, Value::Null, &options)), (422, nameless.into()));
    let (code, text) = refusal(created(&rt, json!({"metadata": {"name": "Bad_"}}), &options));
    assert_eq!(code, 422);
    let start = "ConfigMap \"Bad_\" is invalid: metadata.name: Invalid value: \"Bad_\": a \
                 lowercase RFC 1123 subdomain";
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn roles_may_have_names_with_colons_and_capitals() {
    let options = Options::default();
    for plural in ["roles", "clusterroles"] {
        let rt = kind("rbac.authorization.k8s.io", plural);
        let named = |name: &str| json!({"metadata": {"name": name}});
        let made = created(&rt, named("cert-manager:Leader"), &options);
        assert!(made.is_ok(), "{plural}: {made:?}");
        for bad in ["a/b", "a\0b"] {
            assert_eq!(refusal(created(&rt, named(bad), &options)).0, 422, "{plural}");
        }
    }
}

#[test]
fn bodies_of_another_kind_version_or_namespace_are_refused() {
    let options = Options::default();
    let maps = kind("", "configmaps");
    for (change, code) in [
        (json!({"kind": "Secret"}), 400),
        (json!({"kind": 5}), 400),
        (json!({"apiVersion": "no.such/v1"}), 400),
        (json!({"metadata": {"namespace": "other"}}), 400),
        (json!({"metadata": {"resourceVersion": "12"}}), 500),
        (json!({"metadata": 5}), 400),
        (json!({"metadata": {"labels": {"a": 5}}}), 400),
        (json!({"data": {"k": 5}}), 400),
    ] {
        let (found, text) = refusal(created(&maps, a_map(change.clone()), &options));
        assert_eq!(found, code, "{change} {text}");
    }
    let mut other = a_ship(json!({"flag": "red"}));
    other["kind"] = json!("Boat");
    let wanted =
        "Boat.sea.example.com \"a\" is invalid: kind: Invalid value: \"Boat\": must be Ship";
    assert_eq!(refusal(created(&ship(), other, &options)), (422, wanted.into()));
    assert_eq!(refusal(created(&ship(), json!({}), &options)).0, 400);
    assert_eq!(refusal(created(&ship(), json!([]), &options)).0, 400);
}

#[test]
fn unknown_fields_are_warned_about_refused_or_dropped_as_asked() {
    let rt = kind("", "configmaps");
    let body = || Document {
        value: a_map(json!({"metadata": {"foo": "bar"}, "spce": {"a": 1}})),
        duplicates: vec!["data.k".into()],
    };
    let with = |field_validation| {
        let options = Options { field_validation, ..Options::default() };
        create(
            &Context { rt: &rt, namespace: Some("n"), now: now(), options: &options },
            body(),
            birth(),
        )
    };
    let wanted =
        ["duplicate field \"data.k\"", "unknown field \"metadata.foo\"", "unknown field \"spce\""];
    let warned = with(FieldValidation::Warn).map(|made| made.warnings);
    assert_eq!(warned, Ok(wanted.map(str::to_owned).to_vec()));
    let dropped =
        with(FieldValidation::Ignore).map(|made| (made.warnings, made.object["spce"].clone()));
    assert_eq!(dropped, Ok((Vec::new(), Value::Null)));
    let text = format!(
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict \
                        decoding error: {}",
        wanted.join(", ")
    );
    assert_eq!(refusal(with(FieldValidation::Strict)), (400, text));
}

#[test]
fn generation_counts_changes_of_the_spec_only() {
    let rt = ship();
    let old = stored(&rt, a_ship(json!({"flag": "red"})));
    let generation = |part, change| {
        merged(&rt, &old, part, change).map(|made| made.object["metadata"]["generation"].clone())
    };
    assert_eq!(generation(Part::Main, json!({"spec": {"crew": 5}})), Ok(json!(2)));
    assert_eq!(generation(Part::Main, json!({"metadata": {"labels": {"l": "1"}}})), Ok(json!(1)));
    assert_eq!(generation(Part::Status, json!({"status": {"phase": "x"}})), Ok(json!(1)));
    assert_eq!(generation(Part::Main, json!({"metadata": {"generation": 9}})), Ok(json!(1)));
}

#[test]
fn status_and_spec_change_through_their_own_paths_only() {
    let rt = ship();
    let old = stored(&rt, a_ship(json!({"flag": "red"})));
    let change = json!({"spec": {"crew": 9}, "status": {"phase": "ok"},
        "metadata": {"labels": {"l": "1"}}});
    let main = merged(&rt, &old, Part::Main, change.clone()).map(|made| made.object);
    let main = main.unwrap_or_default();
    assert_eq!((&main["spec"]["crew"], main.get("status")), (&json!(9), None));
    let status = merged(&rt, &old, Part::Status, change).map(|made| made.object);
    let mut wanted = old.clone();
    wanted["status"] = json!({"phase": "ok"});
    let mut owners = wanted["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    owners.push(owner("status", json!({"f:status": {".": {}, "f:phase": {}}})));
    wanted["metadata"]["managedFields"] = json!(owners);
    assert_eq!(status, Ok(wanted));
}

#[test]
fn a_write_that_changes_nothing_is_no_write() {
    let rt = ship();
    let old = stored(&rt, a_ship(json!({"flag": "red"})));
    for (part, change) in [
        (Part::Main, json!({})),
        (Part::Main, json!({"metadata": {"labels": null, "finalizers": []}})),
        (Part::Main, json!({"status": {"phase": "x"}})),
        (Part::Status, json!({"spec": {"crew": 4}})),
    ] {
        let effect = merged(&rt, &old, part, change.clone()).map(|made| made.effect);
        assert_eq!(effect, Ok(Effect::Unchanged), "{change}");
    }
    let effect = replaced(&rt, &old, old.clone()).map(|made| made.effect);
    assert_eq!(effect, Ok(Effect::Unchanged));
}

#[test]
fn updates_are_guarded_by_resource_version_uid_and_name() {
    let maps = kind("", "configmaps");
    let old = stored(&maps, a_map(json!({"data": {"k": "v"}})));
    let put = |metadata: Value| {
        let change = json!({"metadata": metadata, "data": {"k": "w"}});
        refusal(replaced(&maps, &old, a_map(change)).map(|made| made.effect))
    };
    assert_eq!(put(json!({})), (200, "Write".into()));
    assert_eq!(put(json!({"resourceVersion": "7"})), (200, "Write".into()));
    let stale = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; \
                 please apply your changes to the latest version and try again";
    assert_eq!(put(json!({"resourceVersion": "6"})), (409, stale.into()));
    assert_eq!(put(json!({"uid": "other"})).0, 409);
    let name = "the name of the object (b) does not match the name on the URL (a)";
    assert_eq!(put(json!({"name": "b"})), (400, name.into()));
    assert_eq!(put(json!({"name": null})).0, 400);

    let boat = ship();
    let old = stored(&boat, a_ship(json!({"flag": "red"})));
    let blind = "ships.sea.example.com \"a\" is invalid: metadata.resourceVersion: Invalid value: \
                 0: must be specified for an update";
    let put = replaced(&boat, &old, a_ship(json!({"flag": "blue"})));
    assert_eq!(refusal(put), (422, blind.into()));
    let uid = merged(&boat, &old, Part::Main, json!({"metadata": {"uid": "other"}}));
    assert_eq!(refusal(uid).0, 422);
    let stale = merged(&boat, &old, Part::Main, json!({"metadata": {"resourceVersion": "1"}}));
    assert_eq!(refusal(stale).0, 409);
}

#[test]
fn patches_must_be_of_the_right_shape() {
    let maps = kind("", "configmaps");
    let old = stored(&maps, a_map(json!({})));
    assert_eq!(refusal(merged(&maps, &old, Part::Main, json!([]))).0, 400);
    let rename = merged(&maps, &old, Part::Main, json!({"metadata": {"name": "b"}}));
    assert_eq!(refusal(rename).0, 400);
}

#[test]
fn deleting_waits_for_finalizers_and_the_last_one_removes() {
    let rt = ship();
    let plain = stored(&rt, a_ship(json!({"flag": "red"})));
    assert_eq!(deleted(&rt, &plain, &DeleteOptions::default()), Ok(Deletion::Remove));
    let held = merged(&rt, &plain, Part::Main, json!({"metadata": {"finalizers": ["x.io/f"]}}));
    let held = held.map(|made| made.object).unwrap_or_default();
    let mut marked = held.clone();
    marked["metadata"]["deletionTimestamp"] = json!(NOW);
    marked["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    marked["metadata"]["generation"] = json!(2);
    let mark = deleted(&rt, &held, &DeleteOptions::default());
    assert_eq!(mark, Ok(Deletion::Mark(marked.clone())));
    let again = deleted(&rt, &marked, &DeleteOptions::default());
    assert_eq!(again, Ok(Deletion::Unchanged));

    let undelete = json!({"metadata": {"deletionTimestamp": null}, "spec": {"crew": 4}});
    let kept = merged(&rt, &marked, Part::Main, undelete);
    let kept = kept.map(|made| made.object["metadata"]["deletionTimestamp"].clone());
    assert_eq!(kept, Ok(json!(NOW)));
    let more = json!({"metadata": {"finalizers": ["x.io/f", "x.io/g"]}});
    let (code, text) = refusal(merged(&rt, &marked, Part::Main, more));
    assert_eq!(code, 422);
    assert!(text.ends_with("found new finalizers []string{\"x.io/g\"}"), "{text}");
    let last = merged(&rt, &marked, Part::Main, json!({"metadata": {"finalizers": null}}));
    assert_eq!(last.map(|made| made.effect), Ok(Effect::Remove));
}

#[test]
fn delete_options_come_from_body_and_query_and_guard_the_delete() {
    let rt = kind("", "configmaps");
    let old = stored(&rt, a_map(json!({})));
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        "preconditions": {"uid": "other"}, "dryRun": ["All"]});
    let parsed = DeleteOptions::parse(Some(&body), &Options::default());
    let wanted = DeleteOptions {
        propagation_policy: Some(Propagation::Background),
        uid: Some("other".into()),
        dry_run: true,
        ..DeleteOptions::default()
    };
    assert_eq!(parsed, Ok(wanted.clone()));
    let (code, text) = refusal(deleted(&rt, &old, &wanted));
    let found = "the UID in the precondition (other) does not match the UID in record (uid-1). The \
                 object might have been deleted and then recreated";
    assert_eq!(code, 409);
    assert!(text.ends_with(found), "{text}");
    let bad = DeleteOptions::parse(Some(&json!({"propagationPolicy": "Foo"})), &Options::default());
    assert_eq!(refusal(bad).0, 422);
    let other = DeleteOptions::parse(Some(&json!({"kind": "Secret"})), &Options::default());
    assert_eq!(refusal(other).0, 400);
}

#[test]
fn namespaces_end_in_two_steps_and_some_never() {
    let rt = kind("", "namespaces");
    let body = json!({"metadata": {"name": "a", "labels": {"kubernetes.io/metadata.name": "x"}}});
    let old = stored(&rt, body);
    assert_eq!(old["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "a"}));
    assert_eq!(
        (&old["spec"], &old["status"]),
        (&json!({"finalizers": ["kubernetes"]}), &json!({"phase": "Active"}))
    );
    let update = merged(&rt, &old, Part::Main, json!({"spec": {"finalizers": null}}));
    assert_eq!(update.map(|made| made.effect), Ok(Effect::Unchanged));
    let Ok(Deletion::Mark(marked)) = deleted(&rt, &old, &DeleteOptions::default()) else {
        assert_eq!(old, json!("a mark"));
        return;
    };
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert_eq!(marked["metadata"].get("deletionGracePeriodSeconds"), None);
    let ended = finalize_namespace(&marked);
    assert_eq!((ended.effect, &ended.object["spec"]["finalizers"]), (Effect::Remove, &json!([])));
    let needed = stored(&rt, json!({"metadata": {"name": "kube-system"}}));
    let why = "namespaces \"kube-system\" is forbidden: this namespace may not be deleted";
    assert_eq!(refusal(deleted(&rt, &needed, &DeleteOptions::default())), (403, why.into()));
}

#[test]
fn secrets_fold_plain_text_and_keep_their_type() {
    let rt = kind("", "secrets");
    let old = stored(
        &rt,
        json!({"metadata": {"name": "a"}, "stringData": {"k": "v"},
        "data": {"k": "b2xk", "z": "eg=="}}),
    );
    assert_eq!(old["data"], json!({"k": "dg==", "z": "eg=="}));
    assert_eq!((&old["type"], old.get("stringData")), (&json!("Opaque"), None));
    let (code, text) = refusal(merged(&rt, &old, Part::Main, json!({"type": "example.com/x"})));
    let wanted =
        "Secret \"a\" is invalid: type: Invalid value: \"example.com/x\": field is immutable";
    assert_eq!((code, text), (422, wanted.into()));
    let options = Options::default();
    let garbage = json!({"metadata": {"name": "b"}, "data": {"k": "***"}});
    assert_eq!(refusal(created(&rt, garbage, &options)).0, 400);
    let slip = json!({"metadata": {"name": "b"}, "data": {"k": "hunter2!"}});
    let (code, text) = refusal(created(&rt, slip, &options));
    assert_eq!(code, 400);
    assert!(!text.contains("hunter2"), "a secret must not come back in an error: {text}");
    let wrapped = json!({"metadata": {"name": "b"}, "data": {"k": "aGVs\nbG8=\n"}});
    assert_eq!(stored(&rt, wrapped)["data"]["k"], "aGVsbG8=");
    let bare = json!({"metadata": {"name": "t"}, "type": "kubernetes.io/basic-auth"});
    let wanted = "Secret \"t\" is invalid: [data[username]: Required value, data[password]: \
                  Required value]";
    assert_eq!(refusal(created(&rt, bare, &options)), (422, wanted.into()));
}

#[test]
fn config_maps_have_rules_of_their_own() {
    let rt = kind("", "configmaps");
    let sealed = stored(&rt, a_map(json!({"data": {"k": "v"}, "immutable": true})));
    let change = json!({"data": {"k": "w"}, "immutable": false});
    let wanted = "ConfigMap \"a\" is invalid: [immutable: Forbidden: field is immutable when \
                  `immutable` is set, data: Forbidden: field is immutable when `immutable` is set]";
    assert_eq!(refusal(merged(&rt, &sealed, Part::Main, change)), (422, wanted.into()));
    let both = a_map(json!({"data": {"k": "x"}, "binaryData": {"k": "AAE="}}));
    let wanted = "ConfigMap \"a\" is invalid: data[k]: Invalid value: \"k\": duplicate of key \
                  present in binaryData";
    let options = Options::default();
    assert_eq!(refusal(created(&rt, both, &options)), (422, wanted.into()));
    let big = a_map(json!({"data": {"k": "x".repeat(1024 * 1024 + 1)}}));
    let wanted = "ConfigMap \"a\" is invalid: []: Too long: may not be more than 1048576 bytes";
    assert_eq!(refusal(created(&rt, big, &options)), (422, wanted.into()));
}

#[test]
fn other_builtin_kinds_are_checked_and_defaulted() {
    let options = Options::default();
    let lease = kind("coordination.k8s.io", "leases");
    let body = json!({"metadata": {"name": "b"},
        "spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}});
    let wanted = "Lease.coordination.k8s.io \"b\" is invalid: [spec.leaseDurationSeconds: Invalid \
                  value: 0: must be greater than 0, spec.leaseTransitions: Invalid value: -1: must \
                  be greater than or equal to 0]";
    assert_eq!(refusal(created(&lease, body, &options)), (422, wanted.into()));
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}});
    assert_eq!(refusal(created(&kind("", "events"), event, &options)).0, 422);
    let policy = kind("networking.k8s.io", "networkpolicies");
    let body = json!({"metadata": {"name": "p"},
        "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}, {"port": "http"}]}]}});
    let old = stored(&policy, body);
    assert_eq!(
        old["spec"],
        json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress":
        [{"ports": [{"port": 80, "protocol": "TCP"}, {"port": "http", "protocol": "TCP"}]}]})
    );
    assert_eq!(old["metadata"]["generation"], 1);
    let bad = json!({"spec": {"egress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0"}}]}]}});
    assert_eq!(refusal(merged(&policy, &old, Part::Main, bad)).0, 422);
}

#[test]
fn labels_annotations_finalizers_and_owners_are_checked() {
    let rt = kind("", "configmaps");
    let options = Options::default();
    let fields = |metadata: Value| -> Vec<String> {
        let made = created(&rt, a_map(json!({"metadata": metadata})), &options);
        let causes = made.err().map(|error| error.causes().to_vec()).unwrap_or_default();
        causes.into_iter().map(|cause| cause.field).collect()
    };
    let labels = fields(json!({"labels": {"-a": "b", "ok": "not ok!"}}));
    assert_eq!(labels, ["metadata.labels", "metadata.labels"]);
    assert_eq!(fields(json!({"annotations": {"a b": "x"}})), ["metadata.annotations"]);
    let big = json!({"annotations": {"a": "x".repeat(300_000)}});
    assert_eq!(fields(big), ["metadata.annotations"]);
    assert_eq!(fields(json!({"finalizers": ["a b"]})), ["metadata.finalizers"]);
    let owner = |name: &str| {
        json!({"apiVersion": "v1", "kind": "A", "name": name, "uid": "1",
        "controller": true})
    };
    let two = json!({"ownerReferences": [owner("a"), owner("b")]});
    assert_eq!(fields(two), ["metadata.ownerReferences"]);
    let bare =
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": ""}]});
    assert_eq!(fields(bare), ["metadata.ownerReferences[0].uid"]);
}
