use super::*;
use crate::kinds;
use crate::settle::settle;

fn stored(plural: &str, mut object: Value) -> Value {
    let kind = kinds::all().find(|kind| kind.plural == plural && kind.storage);
    let kind = kind.unwrap_or_else(|| unreachable!("{plural}"));
    assert_eq!(settle(&kind.definition(), &mut object), Ok(vec![]), "{plural}");
    apply(kind, &mut object);
    let once = object.clone();
    apply(kind, &mut object);
    assert_eq!(object, once, "{plural}: filling in twice changes nothing");
    object
}

#[test]
fn a_deployment_gets_the_defaults_that_were_recorded() {
    let found = stored(
        "deployments",
        json!({"metadata": {"name": "b"}, "spec": {"selector":
        {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}}, "spec":
        {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}], "env":
        [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}], "livenessProbe":
        {"httpGet": {"path": "/", "port": 80}}, "resources": {"limits":
        {"cpu": "1", "memory": "1024Mi"}}}]}}}}),
    );
    let wanted = json!({"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template":
        {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c",
        "image": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}], "env": [{"name": "A",
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}, "livenessProbe": {"httpGet":
        {"path": "/", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
        "successThreshold": 1, "failureThreshold": 3},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always"}], "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "securityContext": {},
        "schedulerName": "default-scheduler"}}, "strategy": {"type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}, "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600});
    assert_eq!(found["spec"], wanted);
}

#[test]
fn a_load_balancer_gets_the_defaults_that_were_recorded() {
    let found = stored(
        "services",
        json!({"spec": {"type": "LoadBalancer",
        "ports": [{"port": 80, "name": "http"}]}}),
    );
    let wanted = json!({"ports": [{"name": "http", "protocol": "TCP", "port": 80,
        "targetPort": 80}], "type": "LoadBalancer", "sessionAffinity": "None",
        "externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true,
        "internalTrafficPolicy": "Cluster"});
    assert_eq!(found["spec"], wanted);
    let plain =
        stored("services", json!({"spec": {"type": "ExternalName", "externalName": "a.b"}}));
    let wanted = json!({"type": "ExternalName", "sessionAffinity": "None", "externalName": "a.b"});
    assert_eq!(plain["spec"], wanted);
}

#[test]
fn subjects_learn_their_group_but_service_accounts_have_none() {
    let found = stored(
        "rolebindings",
        json!({"roleRef": {"kind": "Role", "name": "a"},
        "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]}),
    );
    let group = "rbac.authorization.k8s.io";
    assert_eq!(found["subjects"][0]["apiGroup"], group);
    assert_eq!(found["subjects"][1].get("apiGroup"), None);
    assert_eq!(found["roleRef"]["apiGroup"], group);
}

#[test]
fn a_pod_asks_for_its_limits_but_a_template_does_not() {
    let container = json!({"name": "c", "image": "a:1", "resources": {"limits": {"cpu": "1"}}});
    let pod = stored(
        "pods",
        json!({"spec": {"containers": [container],
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}]}}),
    );
    assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"], json!({"cpu": "1"}));
    let volumes = json!([{"name": "v", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}]);
    assert_eq!(pod["spec"]["volumes"], volumes);
    assert_eq!(pod["spec"]["enableServiceLinks"], true);
}

#[test]
fn webhooks_are_completed_as_recorded() {
    let found = stored(
        "mutatingwebhookconfigurations",
        json!({"webhooks": [{"name": "a.b.c",
        "clientConfig": {"url": "https://x"}, "rules": [{"operations": ["CREATE"],
        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        "sideEffects": "None", "admissionReviewVersions": ["v1"]}]}),
    );
    let wanted = json!([{"name": "a.b.c", "clientConfig": {"url": "https://x"}, "rules":
        [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
        "resources": ["configmaps"], "scope": "*"}], "failurePolicy": "Fail",
        "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
        "sideEffects": "None", "timeoutSeconds": 10, "admissionReviewVersions": ["v1"],
        "reinvocationPolicy": "Never"}]);
    assert_eq!(found["webhooks"], wanted);
}

#[test]
fn images_without_tag_are_the_latest() {
    for (image, latest) in [
        ("nginx", true),
        ("nginx:1", false),
        ("r:5000/a", true),
        ("r:5000/a:latest", true),
        ("a@sha256:00", false),
    ] {
        assert_eq!(is_latest(image), latest, "{image}");
    }
}
