//! What a real server fills in where a client says nothing: Go code upstream (`pkg/apis/*/v1/defaults.go`), so written down
//! here by hand, kind by kind, and held against recordings.
//!
//! Objects have been settled before ([`crate::settle`]): what Go always writes is there, with its zero value, which counts
//! as nothing said where the Go field is no pointer.

use serde_json::{Value, json};

use crate::kinds::Kind;

mod pods;

pub use pods::is_latest;

/// Fills in the defaults of a kind. Doing it again changes nothing.
pub fn apply(kind: &Kind, object: &mut Value) {
    match (kind.group, kind.kind) {
        ("", "Pod") => pods::pod(object),
        ("", "PodTemplate") => pods::template(&mut object["template"]),
        ("", "ReplicationController") => replication_controller(object),
        ("", "Service") => service(&mut object["spec"]),
        ("", "Secret") => text(object, "type", "Opaque"),
        ("", "PersistentVolume") => volume(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Endpoints") => {
            for subset in items(object, "subsets") {
                items(subset, "ports").for_each(|port| text(port, "protocol", "TCP"));
            }
        }
        ("", "LimitRange") => items(&mut object["spec"], "limits").for_each(limit_range),
        ("apps", name) => workload(name, object),
        ("batch", "Job") => job(&mut object["spec"]),
        ("batch", "CronJob") => cron_job(&mut object["spec"]),
        ("autoscaling", _) => autoscaler(kind.version, &mut object["spec"]),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(object),
        ("networking.k8s.io", "IngressClass") if object["spec"]["parameters"].is_object() => {
            text(&mut object["spec"]["parameters"], "scope", "Cluster");
        }
        ("discovery.k8s.io", "EndpointSlice") => {
            for port in items(object, "ports") {
                absent(port, "name", json!(""));
                text(port, "protocol", "TCP");
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => {
            let mutating = kind.kind == "MutatingWebhookConfiguration";
            items(object, "webhooks").for_each(|hook| webhook(hook, mutating));
        }
        ("storage.k8s.io", "StorageClass") => {
            absent(object, "reclaimPolicy", json!("Delete"));
            absent(object, "volumeBindingMode", json!("Immediate"));
        }
        ("storage.k8s.io", "CSIDriver") => csi_driver(&mut object["spec"]),
        ("scheduling.k8s.io", "PriorityClass") => {
            absent(object, "preemptionPolicy", json!("PreemptLowerPriority"));
        }
        ("apiregistration.k8s.io", "APIService") if object["spec"]["service"].is_object() => {
            absent(&mut object["spec"]["service"], "port", json!(443));
        }
        _ => {}
    }
}

/// Sets a field that is absent.
fn absent(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut()
        && fields.get(key).is_none_or(Value::is_null)
    {
        fields.insert(key.to_owned(), value);
    }
}

/// Sets a text that is absent or empty.
fn text(object: &mut Value, key: &str, value: &str) {
    let empty = |now: &Value| now.is_null() || now.as_str() == Some("");
    if let Some(fields) = object.as_object_mut()
        && fields.get(key).is_none_or(empty)
    {
        fields.insert(key.to_owned(), json!(value));
    }
}

/// Sets a number that is absent or zero.
fn number(object: &mut Value, key: &str, value: i64) {
    let empty = |now: &Value| now.is_null() || now.as_i64() == Some(0);
    if let Some(fields) = object.as_object_mut()
        && fields.get(key).is_none_or(empty)
    {
        fields.insert(key.to_owned(), json!(value));
    }
}

/// The entries of a list that may not be there.
fn items<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A field that is an object, or nothing.
fn inside<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    object.get_mut(key).filter(|value| value.is_object())
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn replication_controller(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if is_set(&labels) {
        if !is_set(&object["spec"]["selector"]) {
            object["spec"]["selector"] = labels.clone();
        }
        if !is_set(&object["metadata"]["labels"]) {
            object["metadata"]["labels"] = labels;
        }
    }
    absent(&mut object["spec"], "replicas", json!(1));
    if let Some(template) = inside(&mut object["spec"], "template") {
        pods::template(template);
    }
}

fn service(spec: &mut Value) {
    text(spec, "sessionAffinity", "None");
    text(spec, "type", "ClusterIP");
    if spec["sessionAffinity"] == "ClientIP" && spec["sessionAffinityConfig"].is_null() {
        spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10_800}});
    }
    for port in items(spec, "ports") {
        text(port, "protocol", "TCP");
        let target = &port["targetPort"];
        if target.is_null() || *target == 0 || *target == "" {
            port["targetPort"] = port["port"].clone();
        }
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let reachable = matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && is_set(&spec["externalIPs"]));
    if reachable {
        text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        absent(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        absent(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
}

fn volume(object: &mut Value) {
    text(&mut object["spec"], "persistentVolumeReclaimPolicy", "Retain");
    absent(&mut object["spec"], "volumeMode", json!("Filesystem"));
    text(&mut object["status"], "phase", "Pending");
    if let Some(path) = inside(&mut object["spec"], "hostPath") {
        absent(path, "type", json!(""));
    }
}

fn claim(object: &mut Value) {
    absent(&mut object["spec"], "volumeMode", json!("Filesystem"));
    if object["status"].is_null() {
        object["status"] = json!({});
    }
    text(&mut object["status"], "phase", "Pending");
}

/// What a container gets is what it may have at most, and what it asks for is what it gets.
fn limit_range(limit: &mut Value) {
    if limit["type"] != "Container" {
        return;
    }
    for (to, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
    {
        let given = limit[from].as_object().cloned().unwrap_or_default();
        for (resource, quantity) in given {
            if limit[to].is_null() {
                limit[to] = json!({});
            }
            absent(&mut limit[to], &resource, quantity);
        }
    }
}

fn workload(kind: &str, object: &mut Value) {
    let Some(spec) = inside(object, "spec") else {
        return;
    };
    match kind {
        "Deployment" => {
            absent(spec, "replicas", json!(1));
            absent(spec, "strategy", json!({}));
            text(&mut spec["strategy"], "type", "RollingUpdate");
            if spec["strategy"]["type"] == "RollingUpdate" {
                absent(&mut spec["strategy"], "rollingUpdate", json!({}));
                let rolling = &mut spec["strategy"]["rollingUpdate"];
                absent(rolling, "maxUnavailable", json!("25%"));
                absent(rolling, "maxSurge", json!("25%"));
            }
            absent(spec, "revisionHistoryLimit", json!(10));
            absent(spec, "progressDeadlineSeconds", json!(600));
        }
        "ReplicaSet" => absent(spec, "replicas", json!(1)),
        "DaemonSet" => {
            absent(spec, "updateStrategy", json!({}));
            text(&mut spec["updateStrategy"], "type", "RollingUpdate");
            if spec["updateStrategy"]["type"] == "RollingUpdate" {
                absent(&mut spec["updateStrategy"], "rollingUpdate", json!({}));
                let rolling = &mut spec["updateStrategy"]["rollingUpdate"];
                absent(rolling, "maxUnavailable", json!(1));
                absent(rolling, "maxSurge", json!(0));
            }
            absent(spec, "revisionHistoryLimit", json!(10));
        }
        "StatefulSet" => stateful_set(spec),
        _ => return,
    }
    pods::template(&mut spec["template"]);
}

fn stateful_set(spec: &mut Value) {
    text(spec, "podManagementPolicy", "OrderedReady");
    absent(spec, "updateStrategy", json!({}));
    text(&mut spec["updateStrategy"], "type", "RollingUpdate");
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        absent(&mut spec["updateStrategy"], "rollingUpdate", json!({}));
        absent(&mut spec["updateStrategy"]["rollingUpdate"], "partition", json!(0));
    }
    absent(spec, "persistentVolumeClaimRetentionPolicy", json!({}));
    let retention = &mut spec["persistentVolumeClaimRetentionPolicy"];
    text(retention, "whenDeleted", "Retain");
    text(retention, "whenScaled", "Retain");
    absent(spec, "replicas", json!(1));
    absent(spec, "revisionHistoryLimit", json!(10));
    for template in items(spec, "volumeClaimTemplates") {
        text(template, "kind", "PersistentVolumeClaim");
        text(template, "apiVersion", "v1");
        claim(template);
    }
}

fn job(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        spec["completions"] = json!(1);
    }
    absent(spec, "parallelism", json!(1));
    let per_index = !spec["backoffLimitPerIndex"].is_null();
    absent(spec, "backoffLimit", json!(if per_index { i32::MAX } else { 6 }));
    absent(spec, "completionMode", json!("NonIndexed"));
    absent(spec, "suspend", json!(false));
    let replaced = match spec["podFailurePolicy"].is_object() {
        true => "Failed",
        false => "TerminatingOrFailed",
    };
    absent(spec, "podReplacementPolicy", json!(replaced));
    absent(spec, "manualSelector", json!(false));
    pods::template(&mut spec["template"]);
}

fn cron_job(spec: &mut Value) {
    text(spec, "concurrencyPolicy", "Allow");
    absent(spec, "suspend", json!(false));
    absent(spec, "successfulJobsHistoryLimit", json!(3));
    absent(spec, "failedJobsHistoryLimit", json!(1));
    if let Some(job) = spec.get_mut("jobTemplate").and_then(|template| inside(template, "spec")) {
        pods::template(&mut job["template"]);
    }
}

fn autoscaler(version: &str, spec: &mut Value) {
    absent(spec, "minReplicas", json!(1));
    if version == "v1" {
        return;
    }
    if !is_set(&spec["metrics"]) {
        spec["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    }
    let Some(behavior) = inside(spec, "behavior") else {
        return;
    };
    let policies = |pods: Option<i64>| {
        let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        match pods {
            Some(pods) => json!([{"type": "Pods", "value": pods, "periodSeconds": 15}, percent]),
            None => json!([percent]),
        }
    };
    for (direction, window, pods) in [("scaleUp", Some(0), Some(4)), ("scaleDown", None, None)] {
        absent(behavior, direction, json!({}));
        let rules = &mut behavior[direction];
        if let Some(window) = window {
            absent(rules, "stabilizationWindowSeconds", json!(window));
        }
        absent(rules, "selectPolicy", json!("Max"));
        if !is_set(&rules["policies"]) {
            rules["policies"] = policies(pods);
        }
    }
}

fn network_policy(object: &mut Value) {
    let Some(spec) = inside(object, "spec") else {
        return;
    };
    if !is_set(&spec["policyTypes"]) {
        let types =
            if is_set(&spec["egress"]) { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec["policyTypes"] = types;
    }
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            items(rule, "ports").for_each(|port| absent(port, "protocol", json!("TCP")));
        }
    }
}

fn binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    text(&mut object["roleRef"], "apiGroup", GROUP);
    for subject in items(object, "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            text(subject, "apiGroup", GROUP);
        }
    }
}

fn webhook(hook: &mut Value, mutating: bool) {
    absent(hook, "failurePolicy", json!("Fail"));
    absent(hook, "matchPolicy", json!("Equivalent"));
    absent(hook, "namespaceSelector", json!({}));
    absent(hook, "objectSelector", json!({}));
    absent(hook, "timeoutSeconds", json!(10));
    if mutating {
        absent(hook, "reinvocationPolicy", json!("Never"));
    }
    if let Some(service) = hook.get_mut("clientConfig").and_then(|config| inside(config, "service"))
    {
        absent(service, "port", json!(443));
    }
    items(hook, "rules").for_each(|rule| absent(rule, "scope", json!("*")));
}

fn csi_driver(spec: &mut Value) {
    absent(spec, "attachRequired", json!(true));
    absent(spec, "podInfoOnMount", json!(false));
    absent(spec, "storageCapacity", json!(false));
    absent(spec, "fsGroupPolicy", json!("ReadWriteOnceWithFSType"));
    if !is_set(&spec["volumeLifecycleModes"]) {
        spec["volumeLifecycleModes"] = json!(["Persistent"]);
    }
    absent(spec, "requiresRepublish", json!(false));
    absent(spec, "seLinuxMount", json!(false));
}

#[cfg(test)]
mod tests;
