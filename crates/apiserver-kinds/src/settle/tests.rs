use serde_json::json;

use super::*;

fn settled(definition: &str, mut object: Value) -> (Value, Vec<String>) {
    let unknown = settle(definition, &mut object).unwrap_or_else(|why| vec![why]);
    (object, unknown)
}

#[test]
fn what_go_always_writes_appears_and_what_is_empty_goes() {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a",
        "labels": {}, "creationTimestamp": null}, "spec": {"replicas": 0, "paused": false,
        "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [
        {"name": "c", "command": [], "tty": false, "stdin": true}]}}}});
    let wanted = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "strategy": {},
        "template": {"metadata": {}, "spec": {"containers": [
        {"name": "c", "resources": {}, "stdin": true}]}}}, "status": {}});
    let found = settled("io.k8s.api.apps.v1.Deployment", deployment);
    assert_eq!(found, (wanted, vec![]));
}

#[test]
fn an_event_shows_its_empty_times() {
    let event = json!({"involvedObject": {"kind": "Pod"}, "reason": "R", "count": 0});
    let wanted = json!({"metadata": {}, "involvedObject": {"kind": "Pod"}, "reason": "R",
        "source": {}, "firstTimestamp": null, "lastTimestamp": null, "eventTime": null,
        "reportingComponent": "", "reportingInstance": ""});
    assert_eq!(settled("io.k8s.api.core.v1.Event", event).0, wanted);
}

#[test]
fn unknown_fields_are_told_with_their_paths() {
    let pod = json!({"spec": {"containers": [{"name": "c", "imagePullPolcy": "Always",
        "ports": [{"containerport": 80}]}], "nodeSelector": {"x": "y"}}, "foo": {"bar": 1}});
    let (found, unknown) = settled("io.k8s.api.core.v1.Pod", pod);
    let wanted =
        ["foo", "spec.containers[0].imagePullPolcy", "spec.containers[0].ports[0].containerport"];
    assert_eq!(unknown, wanted);
    assert_eq!(found["spec"]["containers"][0]["ports"], json!([{"containerPort": 0}]));
    assert_eq!(found.get("foo"), None);
}

#[test]
fn wrong_types_are_told_as_go_tells_them() {
    let prefix = "json: cannot unmarshal";
    for (definition, object, wanted) in [
        ("core.v1.ConfigMap", json!({"data": {"k": 5}}),
            format!("{prefix} number into Go struct field ConfigMap.data of type string")),
        ("apps.v1.Deployment", json!({"spec": {"replicas": "3"}}),
            format!("{prefix} string into Go struct field DeploymentSpec.spec.replicas of type int32")),
        ("apps.v1.Deployment", json!({"spec": {"replicas": 1.5}}),
            format!("{prefix} number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32")),
        ("apps.v1.Deployment", json!({"spec": []}),
            format!("{prefix} array into Go struct field Deployment.spec of type v1.DeploymentSpec")),
        ("core.v1.Service", json!({"spec": {"type": 1}}),
            format!("{prefix} number into Go struct field ServiceSpec.spec.type of type v1.ServiceType")),
        ("core.v1.Pod", json!({"spec": {"containers": {}}}),
            format!("{prefix} object into Go struct field PodSpec.spec.containers of type []v1.Container")),
        ("core.v1.Secret", json!({"data": {"k": "***"}}),
            "illegal base64 data at input byte 0".to_owned()),
        ("coordination.v1.Lease", json!({"spec": {"renewTime": "2026-01-02T03:04:05Z"}}),
            "parsing time \"2026-01-02T03:04:05Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot \
             parse \"Z\" as \".000000\"".to_owned()),
        ("core.v1.ResourceQuota", json!({"spec": {"hard": {"cpu": "1x"}}}), SYNTAX_ERROR.to_owned()),
    ] {
        let mut object = object;
        let found = settle(&format!("io.k8s.api.{definition}"), &mut object);
        assert_eq!(found, Err(wanted), "{definition}");
    }
}

#[test]
fn scalars_get_their_one_form() {
    let pod = json!({"metadata": {"deletionTimestamp": "2026-01-02T04:04:05+01:00"},
        "spec": {"containers": [{"name": "c", "resources": {"limits":
        {"cpu": 1, "memory": "1024Mi"}}}]}});
    let found = settled("io.k8s.api.core.v1.Pod", pod).0;
    assert_eq!(found["metadata"]["deletionTimestamp"], "2026-01-02T03:04:05Z");
    let limits = &found["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(limits, &json!({"cpu": "1", "memory": "1Gi"}));
    let secret = json!({"data": {"k": "ab\r\ncd\n"}});
    assert_eq!(settled("io.k8s.api.core.v1.Secret", secret).0["data"], json!({"k": "abcd"}));
    let lease = json!({"spec": {"renewTime": "2026-01-02T04:04:05.123456+01:00"}});
    let lease = settled("io.k8s.api.coordination.v1.Lease", lease).0;
    assert_eq!(lease["spec"]["renewTime"], "2026-01-02T03:04:05.123456Z");
}

#[test]
fn an_empty_status_is_written_as_go_does() {
    assert_eq!(empty("io.k8s.api.apps.v1.DeploymentStatus"), json!({}));
    assert_eq!(
        empty("io.k8s.api.apps.v1.StatefulSetStatus"),
        json!({"replicas": 0, "availableReplicas": 0})
    );
    assert_eq!(empty("io.k8s.api.core.v1.ServiceStatus"), json!({"loadBalancer": {}}));
    let budget = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
    assert_eq!(empty("io.k8s.api.policy.v1.PodDisruptionBudgetStatus"), budget);
}
