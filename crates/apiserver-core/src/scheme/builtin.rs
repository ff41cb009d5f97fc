//! The built-in kinds: names and columns here, schemas in `data/kubernetes.json`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Cell, Column, ResourceType, Rules, Scheme};
use crate::jsonpath::JsonPath;

const DATA: &str = include_str!("../../data/kubernetes.json");

/// One row of the table of built-in kinds.
struct Row {
    definition: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    has_status: bool,
    selectable: &'static [&'static str],
}

const fn row(definition: &'static str, plural: &'static str) -> Row {
    let (short_names, categories, selectable): (_, _, &[&str]) = (&[], &[], &[]);
    Row {
        definition,
        plural,
        short_names,
        categories,
        namespaced: true,
        has_status: false,
        selectable,
    }
}

const ROWS: &[Row] = &[
    Row { short_names: &["cm"], ..row("io.k8s.api.core.v1.ConfigMap", "configmaps") },
    Row {
        short_names: &["ev"],
        selectable: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
        ..row("io.k8s.api.core.v1.Event", "events")
    },
    Row {
        short_names: &["ns"],
        namespaced: false,
        has_status: true,
        selectable: &["status.phase"],
        ..row("io.k8s.api.core.v1.Namespace", "namespaces")
    },
    Row {
        short_names: &["no"],
        namespaced: false,
        has_status: true,
        selectable: &["spec.unschedulable"],
        ..row("io.k8s.api.core.v1.Node", "nodes")
    },
    Row {
        short_names: &["po"],
        categories: &["all"],
        has_status: true,
        selectable: &["spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP"],
        ..row("io.k8s.api.core.v1.Pod", "pods")
    },
    Row { selectable: &["type"], ..row("io.k8s.api.core.v1.Secret", "secrets") },
    Row { short_names: &["sa"], ..row("io.k8s.api.core.v1.ServiceAccount", "serviceaccounts") },
    row("io.k8s.api.coordination.v1.Lease", "leases"),
    Row {
        short_names: &["netpol"],
        ..row("io.k8s.api.networking.v1.NetworkPolicy", "networkpolicies")
    },
];

/// Reads the embedded data. It is part of the program, so a broken file shows as a scheme
/// without kinds, which the tests refuse.
pub(super) fn scheme() -> Scheme {
    let mut data: Value = serde_json::from_str(DATA).unwrap_or_default();
    let definitions = match data.get_mut("definitions").map(Value::take) {
        Some(Value::Object(map)) => Arc::new(map),
        _ => Arc::new(Map::new()),
    };
    let types = ROWS.iter().filter_map(|row| resource_type(row, &definitions));
    let keyed =
        types.map(|rt| ((rt.group.clone(), rt.version.clone(), rt.plural.clone()), Arc::new(rt)));
    Scheme { types: keyed.collect(), definitions: Arc::clone(&definitions) }
}

fn resource_type(row: &Row, definitions: &Arc<Map<String, Value>>) -> Option<ResourceType> {
    let schema = definitions.get(row.definition)?.clone();
    let gvk = schema.get("x-kubernetes-group-version-kind")?.get(0)?;
    let text = |key: &str| gvk.get(key).and_then(Value::as_str).map(str::to_owned);
    let kind = text("kind")?;
    let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
    Some(ResourceType {
        group: text("group")?,
        version: text("version")?,
        plural: row.plural.to_owned(),
        singular: kind.to_lowercase(),
        short_names: owned(row.short_names),
        categories: owned(row.categories),
        namespaced: row.namespaced,
        has_status: row.has_status,
        custom: false,
        storage: true,
        columns: columns(&kind),
        selectable_fields: owned(row.selectable),
        rules: Rules::compile(&kind, &schema, Arc::clone(definitions)).ok()?,
        schema,
        kind,
    })
}

/// The name column every table begins with.
pub(super) fn name_column() -> Column {
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

fn columns(kind: &str) -> Vec<Column> {
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
        "Event" => {
            // `kubectl get events` puts the name last and only in the wide form.
            return vec![
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
            ];
        }
        _ => vec![age()],
    };
    std::iter::once(name_column()).chain(own).collect()
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
