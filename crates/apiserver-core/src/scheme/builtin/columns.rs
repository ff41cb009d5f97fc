//! The table columns of the built-in kinds, as kubectl shows them.

use serde_json::{Map, Value, json};

use super::super::{Cell, Column};
use crate::jsonpath::JsonPath;

/// The name column every table begins with.
pub(in crate::scheme) fn name_column() -> Column {
    let description = "Name must be unique within a namespace. Is required when creating \
        resources, although some resources may allow a client to request the generation of an \
        appropriate name automatically. Name is primarily intended for creation idempotence and \
        configuration definition. Cannot be updated. More info: \
        https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
    let format = "name".to_owned();
    Column {
        format,
        description: description.to_owned(),
        ..column("Name", Cell::Path(path(".metadata.name")))
    }
}

fn column(name: &str, cell: Cell) -> Column {
    Column {
        name: name.to_owned(),
        kind: "string".to_owned(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        cell,
    }
}

fn path(text: &str) -> JsonPath {
    // The texts are constants of this file; a wrong one gives an empty cell, which tests notice.
    JsonPath::parse(text).unwrap_or_else(|_| JsonPath::nowhere())
}

pub(super) fn columns(kind: &str) -> Vec<Column> {
    let at = |name: &str, text: &str| column(name, Cell::Path(path(text)));
    let computed = |name: &str, how: fn(&Value) -> Value| column(name, Cell::Computed(how));
    let age = || column("Age", Cell::Age(path(".metadata.creationTimestamp")));
    let count = |name: &str, texts: &[&str]| {
        column(name, Cell::Count(texts.iter().map(|text| path(text)).collect()))
    };
    let own = match kind {
        "ConfigMap" => vec![count("Data", &[".data", ".binaryData"]), age()],
        "Secret" => vec![at("Type", ".type"), count("Data", &[".data"]), age()],
        "ServiceAccount" => vec![count("Secrets", &[".secrets"]), age()],
        "Namespace" => vec![at("Status", ".status.phase"), age()],
        "Lease" => vec![at("Holder", ".spec.holderIdentity"), age()],
        "NetworkPolicy" => vec![computed("Pod-Selector", pod_selector), age()],
        "Node" => vec![
            computed("Status", node_status),
            computed("Roles", node_roles),
            age(),
            at("Version", ".status.nodeInfo.kubeletVersion"),
        ],
        "Pod" => vec![
            computed("Ready", pod_ready),
            computed("Status", pod_status),
            computed("Restarts", pod_restarts),
            age(),
        ],
        "PersistentVolume" => vec![
            at("Capacity", ".spec.capacity.storage"),
            computed("Access Modes", access_modes),
            at("Reclaim Policy", ".spec.persistentVolumeReclaimPolicy"),
            at("Status", ".status.phase"),
            computed("Claim", volume_claim),
            at("StorageClass", ".spec.storageClassName"),
            age(),
        ],
        "PersistentVolumeClaim" => vec![
            at("Status", ".status.phase"),
            at("Volume", ".spec.volumeName"),
            at("Capacity", ".status.capacity.storage"),
            computed("Access Modes", access_modes),
            at("StorageClass", ".spec.storageClassName"),
            age(),
        ],
        "Service" => vec![
            at("Type", ".spec.type"),
            at("Cluster-IP", ".spec.clusterIP"),
            computed("External-IP", addresses),
            computed("Port(s)", service_ports),
            age(),
        ],
        "Ingress" => vec![
            at("Class", ".spec.ingressClassName"),
            computed("Hosts", ingress_hosts),
            computed("Address", addresses),
            age(),
        ],
        "StatefulSet" => vec![computed("Ready", stateful_set_ready), age()],
        "PodDisruptionBudget" => vec![
            at("Min Available", ".spec.minAvailable"),
            at("Max Unavailable", ".spec.maxUnavailable"),
            at("Allowed Disruptions", ".status.disruptionsAllowed"),
            age(),
        ],
        "ValidatingAdmissionPolicy" => vec![count("Validations", &[".spec.validations"]), age()],
        "ValidatingAdmissionPolicyBinding" => vec![at("PolicyName", ".spec.policyName"), age()],
        "Event" => return event_columns(),
        _ => vec![age()],
    };
    std::iter::once(name_column()).chain(own).collect()
}

/// `kubectl get events` puts the name last and only in the wide form.
fn event_columns() -> Vec<Column> {
    let at = |name: &str, text: &str| column(name, Cell::Path(path(text)));
    let computed = |name: &str, how: fn(&Value) -> Value| column(name, Cell::Computed(how));
    vec![
        column("Last Seen", Cell::Age(path(".lastTimestamp"))),
        at("Type", ".type"),
        at("Reason", ".reason"),
        computed("Object", event_object),
        Column { priority: 1, ..at("Subobject", ".involvedObject.fieldPath") },
        Column { priority: 1, ..computed("Source", event_source) },
        at("Message", ".message"),
        Column { priority: 1, ..column("First Seen", Cell::Age(path(".firstTimestamp"))) },
        Column { priority: 1, ..at("Count", ".count") },
        Column { priority: 1, ..name_column() },
    ]
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn pod_selector(object: &Value) -> Value {
    let labels = object.pointer("/spec/podSelector/matchLabels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    json!(if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") })
}

fn node_status(object: &Value) -> Value {
    let ready = items(object, "/status/conditions").iter().find(|c| text(c, "/type") == "Ready");
    let mut status = match ready.map(|condition| text(condition, "/status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    json!(status)
}

fn node_roles(object: &Value) -> Value {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let keys = labels.into_iter().flat_map(Map::keys);
    let roles: Vec<&str> =
        keys.filter_map(|k| k.strip_prefix("node-role.kubernetes.io/")).collect();
    json!(if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") })
}

fn pod_ready(object: &Value) -> Value {
    let statuses = items(object, "/status/containerStatuses");
    let ready = statuses.iter().filter(|s| s["ready"] == true).count();
    json!(format!("{ready}/{}", items(object, "/spec/containers").len()))
}

fn pod_status(object: &Value) -> Value {
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return json!("Terminating");
    }
    let statuses = items(object, "/status/containerStatuses").iter();
    let mut reasons = statuses.flat_map(|status| {
        ["/state/waiting/reason", "/state/terminated/reason"].map(|at| text(status, at))
    });
    let own = match text(object, "/status/reason") {
        "" => text(object, "/status/phase"),
        reason => reason,
    };
    json!(reasons.find(|reason| !reason.is_empty()).unwrap_or(own))
}

fn pod_restarts(object: &Value) -> Value {
    let statuses = items(object, "/status/containerStatuses").iter();
    json!(statuses.filter_map(|s| s["restartCount"].as_i64()).sum::<i64>().to_string())
}

fn event_object(object: &Value) -> Value {
    let kind = text(object, "/involvedObject/kind").to_lowercase();
    json!(format!("{kind}/{}", text(object, "/involvedObject/name")))
}

fn event_source(object: &Value) -> Value {
    let parts = [text(object, "/source/component"), text(object, "/source/host")];
    json!(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "))
}

fn access_modes(object: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "?",
    };
    let modes: Vec<&str> = items(object, "/spec/accessModes").iter().map(short).collect();
    json!(modes.join(","))
}

fn volume_claim(object: &Value) -> Value {
    match (text(object, "/spec/claimRef/namespace"), text(object, "/spec/claimRef/name")) {
        (_, "") => json!(""),
        (namespace, name) => json!(format!("{namespace}/{name}")),
    }
}

/// Where a load balancer made the object reachable.
fn addresses(object: &Value) -> Value {
    let found = items(object, "/status/loadBalancer/ingress").iter();
    let one = |entry| match text(entry, "/ip") {
        "" => text(entry, "/hostname"),
        ip => ip,
    };
    let found: Vec<&str> = found.map(one).collect();
    match (found.as_slice(), text(object, "/spec/type")) {
        ([], "LoadBalancer") => json!("<pending>"),
        ([], _) => json!("<none>"),
        (some, _) => json!(some.join(",")),
    }
}

fn service_ports(object: &Value) -> Value {
    let one = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        format!("{}/{protocol}", port["port"])
    };
    let ports: Vec<String> = items(object, "/spec/ports").iter().map(one).collect();
    json!(if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") })
}

fn ingress_hosts(object: &Value) -> Value {
    let hosts = items(object, "/spec/rules").iter().map(|rule| text(rule, "/host"));
    let hosts: Vec<&str> = hosts.filter(|host| !host.is_empty()).collect();
    json!(if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") })
}

fn stateful_set_ready(object: &Value) -> Value {
    let number = |pointer| object.pointer(pointer).and_then(Value::as_i64);
    let ready = number("/status/readyReplicas").unwrap_or_default();
    json!(format!("{ready}/{}", number("/spec/replicas").unwrap_or(1)))
}
