//! Recorded answers of kube-apiserver 1.36 to objects that its Go code refuses, and what it gives out.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::services::{Taken, allocate, wants_allocation};
use crate::crud::{Admitted, Birth, Context, Part, create, update};
use crate::request::Options;
use crate::scheme::{ResourceType, Scheme};
use crate::status::ApiError;

fn with<T>(group: &str, plural: &str, run: impl Fn(&ResourceType, &Context<'_>) -> T) -> Option<T> {
    let scheme = Scheme::builtin();
    let rt = scheme.find(group, "v1", plural)?;
    let options = Options::default();
    let namespace = rt.namespaced.then_some("n");
    let context = Context { rt, namespace, now: Timestamp::UNIX_EPOCH, options: &options };
    Some(run(rt, &context))
}

fn created(group: &str, plural: &str, object: &Value) -> Result<Value, ApiError> {
    let birth = || Birth { uid: "u-1".into(), suffix: "abcde".into() };
    let made = with(group, plural, |_, ctx| create(ctx, object.clone().into(), birth()));
    made.unwrap_or_else(|| Err(ApiError::path_not_found())).map(|made: Admitted| made.object)
}

/// The causes of a refusal: `FIELD: MESSAGE`.
fn causes(answer: Result<Value, ApiError>) -> Vec<String> {
    let body = answer.err().map(|error| error.body()).unwrap_or_default();
    let causes = body["details"]["causes"].as_array().cloned().unwrap_or_default();
    let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
    causes.iter().map(|one| format!("{}: {}", text(one, "field"), text(one, "message"))).collect()
}

fn deployment(selector: &str, restart: &str) -> Value {
    json!({"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"app": selector}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"restartPolicy": restart,
        "containers": [{"name": "c", "image": "nginx:1"}]}}}})
}

#[test]
fn workloads_are_refused_as_recorded() {
    let found = causes(created("apps", "deployments", &deployment("b", "Always")));
    let wanted = "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does \
                  not match template `labels`";
    assert_eq!(found, [wanted]);
    let found = causes(created("apps", "deployments", &deployment("a", "Never")));
    let wanted = "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported \
                  values: \"Always\"";
    assert_eq!(found, [wanted]);
    let mut none = deployment("a", "Always");
    none["spec"]["selector"] = Value::Null;
    let found = causes(created("apps", "deployments", &none));
    assert_eq!(found.first().map(String::as_str), Some("spec.selector: Required value"));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_selector_cannot_change_and_a_status_is_not_the_clients() {
    let old = created("apps", "deployments", &deployment("a", "Always")).unwrap_or_default();
    assert_eq!(old["status"], json!({}));
    let change = |object: Value| {
        let made = with("apps", "deployments", |_, ctx| {
            update(ctx, "x", Part::Main, &old, object.clone().into())
        });
        made.unwrap_or_else(|| Err(ApiError::path_not_found())).map(|made| made.object)
    };
    let mut next = old.clone();
    next["status"] = json!({"replicas": 9});
    assert_eq!(change(next).map(|object| object["status"].clone()), Ok(json!({})));
    let mut next = deployment("z", "Always");
    next["spec"]["template"]["metadata"]["labels"] = json!({"app": "z"});
    let wanted = "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"z\"}}: field is \
                  immutable";
    assert_eq!(causes(change(next)), [wanted]);
}

#[test]
fn services_are_refused_as_recorded() {
    let service = |spec: Value| {
        causes(created("", "services", &json!({"metadata": {"name": "x"}, "spec": spec})))
    };
    assert_eq!(service(json!({})), ["spec.ports: Required value"]);
    let found = service(json!({"ports": [{"port": 80}, {"port": 81}]}));
    let wanted = ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"];
    assert_eq!(found, wanted);
    let found = service(json!({"ports": [{"port": 70000, "protocol": "ICMP"}]}));
    let wanted = [
        "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
        "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \
         \"TCP\", \"UDP\"",
        "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ];
    assert_eq!(found, wanted);
}

fn given_out(spec: Value, taken: &Taken) -> Result<Value, Vec<String>> {
    let object = json!({"metadata": {"name": "x"}, "spec": spec});
    let mut object = created("", "services", &object).map_err(|error| causes(Err(error)))?;
    assert!(wants_allocation(&object, None));
    let done = with("", "services", |rt, _| {
        let mut object = object.clone();
        allocate(rt, &mut object, None, taken).map(|()| object)
    });
    object = done
        .unwrap_or_else(|| Err(ApiError::path_not_found()))
        .map_err(|error| causes(Err(error)))?;
    Ok(object["spec"].clone())
}

#[test]
fn no_two_services_get_the_same_address_or_node_port() {
    let node_port = json!({"type": "NodePort", "ports": [{"port": 80}]});
    let mut services: Vec<Value> = Vec::new();
    for _ in 0..40 {
        // All have the same uid here, so all would begin at the same place.
        let taken = Taken::by(services.iter());
        let spec = given_out(node_port.clone(), &taken).unwrap_or_default();
        services.push(json!({"spec": spec}));
    }
    let mut addresses: Vec<&Value> = services.iter().map(|s| &s["spec"]["clusterIP"]).collect();
    addresses.sort_by_key(|address| address.to_string());
    addresses.dedup();
    assert_eq!(addresses.len(), 40);
    let mut ports: Vec<i64> =
        services.iter().filter_map(|s| s["spec"]["ports"][0]["nodePort"].as_i64()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 40);
    assert!(ports.iter().all(|port| (30_000..=32_767).contains(port)));
}

#[test]
fn what_is_out_of_range_or_taken_is_refused_as_recorded() {
    let nobody = Taken::default();
    let fixed = |address: &str| json!({"clusterIP": address, "ports": [{"port": 80}]});
    let spec = given_out(fixed("10.0.0.77"), &nobody).unwrap_or_default();
    assert_eq!(spec["clusterIPs"], json!(["10.0.0.77"]));
    assert_eq!(
        (&spec["ipFamilies"], &spec["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    let outside = "spec.clusterIPs: Invalid value: [\"192.168.1.1\"]: failed to allocate IP \
                   192.168.1.1: the provided network does not match the current range";
    assert_eq!(given_out(fixed("192.168.1.1"), &nobody), Err(vec![outside.to_owned()]));
    let other = json!({"spec": spec});
    let taken = Taken::by(std::iter::once(&other));
    assert!(given_out(fixed("10.0.0.77"), &taken).is_err());
    let low = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]});
    let wanted = "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid \
                  range. The range of valid ports is 30000-32767";
    assert_eq!(given_out(low, &nobody), Err(vec![wanted.to_owned()]));
}

#[test]
fn roles_and_bindings_are_refused_as_recorded() {
    let group = "rbac.authorization.k8s.io";
    let role = json!({"metadata": {"name": "x"}, "rules": [{"nonResourceURLs": ["/x"],
        "verbs": ["get"]}]});
    let wanted = "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply \
                  to non-resource URLs";
    assert_eq!(causes(created(group, "roles", &role)), [wanted]);
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "Foo", "name": ""},
        "subjects": [{"kind": "Robot", "name": ""}]});
    let wanted = [
        "roleRef.kind: Unsupported value: \"Foo\": supported values: \"ClusterRole\"",
        "roleRef.name: Required value",
        "subjects[0].name: Required value",
        "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \
         \"User\", \"Group\"",
    ];
    assert_eq!(causes(created(group, "clusterrolebindings", &binding)), wanted);
}

#[test]
fn a_new_pod_is_admitted_as_recorded() {
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pod = created("", "pods", &pod).unwrap_or_default();
    let spec = &pod["spec"];
    assert_eq!((&spec["serviceAccountName"], &spec["priority"]), (&json!("default"), &json!(0)));
    assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(2));
    assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(pod["metadata"]["generation"], 1);
}
