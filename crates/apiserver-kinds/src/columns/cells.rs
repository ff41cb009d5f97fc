//! Cells that are made from more than one field.

use serde_json::{Map, Value, json};

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn or_none(text: String) -> Value {
    json!(if text.is_empty() { "<none>".to_owned() } else { text })
}

fn or<'a>(text: &'a str, other: &'a str) -> Value {
    json!(if text.is_empty() { other } else { text })
}

fn size(value: &Value) -> usize {
    value.as_object().map(Map::len).or_else(|| value.as_array().map(Vec::len)).unwrap_or_default()
}

pub(super) fn data(object: &Value) -> Value {
    json!(size(&object["data"]) + size(&object["binaryData"]))
}

pub(super) fn secrets(object: &Value) -> Value {
    json!(size(&object["secrets"]))
}

pub(super) fn webhooks(object: &Value) -> Value {
    json!(size(&object["webhooks"]))
}

pub(super) fn validations(object: &Value) -> Value {
    json!(size(&object["spec"]["validations"]))
}

pub(super) fn param_kind(object: &Value) -> Value {
    let kind = text(object, "/spec/paramKind/kind");
    let version = text(object, "/spec/paramKind/apiVersion");
    if kind.is_empty() { json!("<unset>") } else { json!(format!("{version}/{kind}")) }
}

pub(super) fn param_ref(object: &Value) -> Value {
    let name = text(object, "/spec/paramRef/name");
    let namespace = text(object, "/spec/paramRef/namespace");
    match (namespace, name) {
        ("", "") => json!("<unset>"),
        ("", name) => json!(name),
        (namespace, name) => json!(format!("{namespace}/{name}")),
    }
}

/// `a=b,c in (d,e),!f` of a label selector.
pub(super) fn label_selector(selector: &Value) -> Value {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = labels
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            items(expression, "/values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push(match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    parts.sort_unstable();
    or_none(parts.join(","))
}

/// `a=b,c=d` of a map.
pub(super) fn map_selector(map: &Value) -> Value {
    let pairs = map.as_object().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    or_none(pairs.join(","))
}

pub(super) fn pod_selector(object: &Value) -> Value {
    label_selector(&object["spec"]["podSelector"])
}

pub(super) fn service_selector(object: &Value) -> Value {
    map_selector(&object["spec"]["selector"])
}

pub(super) fn node_status(object: &Value) -> Value {
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

pub(super) fn node_roles(object: &Value) -> Value {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let keys = labels.into_iter().flat_map(Map::keys);
    let roles: Vec<&str> =
        keys.filter_map(|k| k.strip_prefix("node-role.kubernetes.io/")).collect();
    or_none(roles.join(","))
}

fn node_address(object: &Value, kind: &str) -> Value {
    let found = items(object, "/status/addresses").iter().find(|a| text(a, "/type") == kind);
    or(found.map(|address| text(address, "/address")).unwrap_or_default(), "<none>")
}

pub(super) fn internal_ip(object: &Value) -> Value {
    node_address(object, "InternalIP")
}

pub(super) fn external_ip(object: &Value) -> Value {
    node_address(object, "ExternalIP")
}

pub(super) fn os_image(object: &Value) -> Value {
    or(text(object, "/status/nodeInfo/osImage"), "<unknown>")
}

pub(super) fn kernel(object: &Value) -> Value {
    or(text(object, "/status/nodeInfo/kernelVersion"), "<unknown>")
}

pub(super) fn container_runtime(object: &Value) -> Value {
    or(text(object, "/status/nodeInfo/containerRuntimeVersion"), "<unknown>")
}

pub(super) fn event_object(object: &Value) -> Value {
    let about = if object["regarding"].is_object() { "/regarding" } else { "/involvedObject" };
    let kind = text(object, &format!("{about}/kind")).to_lowercase();
    json!(format!("{kind}/{}", text(object, &format!("{about}/name"))))
}

pub(super) fn event_part(object: &Value) -> Value {
    let about = if object["regarding"].is_object() { "/regarding" } else { "/involvedObject" };
    json!(text(object, &format!("{about}/fieldPath")))
}

pub(super) fn event_message(object: &Value) -> Value {
    or(text(object, "/message"), text(object, "/note"))
}

pub(super) fn event_count(object: &Value) -> Value {
    let series = number(object, "/series/count");
    let count = number(object, "/count").max(number(object, "/deprecatedCount"));
    json!(if series > 0 { series } else { count.max(1) })
}

pub(super) fn event_source(object: &Value) -> Value {
    let source = if object["source"].is_object() { "/source" } else { "/deprecatedSource" };
    let component = match text(object, &format!("{source}/component")) {
        "" => match text(object, "/reportingComponent") {
            "" => text(object, "/reportingController"),
            reporting => reporting,
        },
        component => component,
    };
    let parts = [component, text(object, &format!("{source}/host"))];
    json!(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "))
}

fn modes(object: &Value, pointer: &str) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "?",
    };
    let modes: Vec<&str> = items(object, pointer).iter().map(short).collect();
    json!(modes.join(","))
}

pub(super) fn access_modes(object: &Value) -> Value {
    modes(object, "/spec/accessModes")
}

pub(super) fn bound_modes(object: &Value) -> Value {
    modes(object, "/status/accessModes")
}

pub(super) fn claim_capacity(object: &Value) -> Value {
    json!(text(object, "/status/capacity/storage"))
}

pub(super) fn claim_phase(object: &Value) -> Value {
    let deleting = !text(object, "/metadata/deletionTimestamp").is_empty();
    json!(if deleting { "Terminating" } else { text(object, "/status/phase") })
}

pub(super) fn volume_claim(object: &Value) -> Value {
    match (text(object, "/spec/claimRef/namespace"), text(object, "/spec/claimRef/name")) {
        (_, "") => json!(""),
        (namespace, name) => json!(format!("{namespace}/{name}")),
    }
}

pub(super) fn attributes_class(object: &Value) -> Value {
    or(text(object, "/spec/volumeAttributesClassName"), "<unset>")
}

pub(super) fn volume_mode(object: &Value) -> Value {
    or(text(object, "/spec/volumeMode"), "<unset>")
}

fn balanced(object: &Value) -> Vec<&str> {
    let one = |entry| match text(entry, "/ip") {
        "" => text(entry, "/hostname"),
        ip => ip,
    };
    items(object, "/status/loadBalancer/ingress").iter().map(one).collect()
}

pub(super) fn ingress_addresses(object: &Value) -> Value {
    json!(balanced(object).join(","))
}

pub(super) fn cluster_ip(object: &Value) -> Value {
    or(text(object, "/spec/clusterIP"), "<none>")
}

/// Where a service is reachable from outside.
pub(super) fn addresses(object: &Value) -> Value {
    let own = items(object, "/spec/externalIPs").iter().filter_map(Value::as_str);
    let found: Vec<&str> = match text(object, "/spec/type") {
        "ExternalName" => vec![text(object, "/spec/externalName")],
        "LoadBalancer" => {
            let found: Vec<&str> = balanced(object).into_iter().chain(own).collect();
            if found.is_empty() {
                return json!("<pending>");
            }
            found
        }
        _ => own.collect(),
    };
    or_none(found.join(","))
}

pub(super) fn service_ports(object: &Value) -> Value {
    let one = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64().filter(|node| *node > 0) {
            Some(node) => format!("{}:{node}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    };
    let ports: Vec<String> = items(object, "/spec/ports").iter().map(one).collect();
    or_none(ports.join(","))
}

pub(super) fn ingress_class(object: &Value) -> Value {
    match text(object, "/spec/ingressClassName") {
        "" => {
            let annotations = &object["metadata"]["annotations"];
            or(annotations["kubernetes.io/ingress.class"].as_str().unwrap_or_default(), "<none>")
        }
        class => json!(class),
    }
}

pub(super) fn ingress_hosts(object: &Value) -> Value {
    let hosts = items(object, "/spec/rules").iter().map(|rule| text(rule, "/host"));
    let hosts: Vec<&str> = hosts.filter(|host| !host.is_empty()).collect();
    json!(if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") })
}

pub(super) fn ingress_ports(object: &Value) -> Value {
    json!(if items(object, "/spec/tls").is_empty() { "80" } else { "80, 443" })
}

pub(super) fn class_parameters(object: &Value) -> Value {
    let at = |key: &str| text(object, &format!("/spec/parameters/{key}"));
    match (at("apiGroup"), at("kind"), at("name")) {
        (_, _, "") => json!("<none>"),
        ("", kind, name) => json!(format!("{kind}/{name}")),
        (group, kind, name) => json!(format!("{kind}.{group}/{name}")),
    }
}

/// The first three, and how many more.
fn shortened(all: &[String], none: &str) -> Value {
    match all {
        [] => json!(none),
        [a, b, c, rest @ ..] if !rest.is_empty() => {
            json!(format!("{a},{b},{c} + {} more...", rest.len()))
        }
        few => json!(few.join(",")),
    }
}

pub(super) fn endpoints(object: &Value) -> Value {
    let mut all = Vec::new();
    for subset in items(object, "/subsets") {
        for address in items(subset, "/addresses") {
            let ip = text(address, "/ip");
            let ports = items(subset, "/ports");
            if ports.is_empty() {
                all.push(ip.to_owned());
            }
            all.extend(ports.iter().map(|port| format!("{ip}:{}", port["port"])));
        }
    }
    shortened(&all, "<none>")
}

pub(super) fn slice_ports(object: &Value) -> Value {
    let ports = items(object, "/ports").iter().map(|port| match &port["port"] {
        Value::Null => "*".to_owned(),
        port => port.to_string(),
    });
    shortened(&ports.collect::<Vec<_>>(), "<unset>")
}

pub(super) fn slice_endpoints(object: &Value) -> Value {
    let addresses = items(object, "/endpoints").iter().flat_map(|one| items(one, "/addresses"));
    let addresses = addresses.filter_map(Value::as_str).map(str::to_owned);
    shortened(&addresses.collect::<Vec<_>>(), "<unset>")
}

pub(super) fn bound_role(object: &Value) -> Value {
    json!(format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")))
}

fn subjects(object: &Value, kind: &str) -> Value {
    let found = items(object, "/subjects").iter().filter(|subject| text(subject, "/kind") == kind);
    let one = |subject: &Value| match text(subject, "/namespace") {
        "" => text(subject, "/name").to_owned(),
        namespace => format!("{namespace}/{}", text(subject, "/name")),
    };
    json!(found.map(one).collect::<Vec<_>>().join(", "))
}

pub(super) fn users(object: &Value) -> Value {
    subjects(object, "User")
}

pub(super) fn groups(object: &Value) -> Value {
    subjects(object, "Group")
}

pub(super) fn accounts(object: &Value) -> Value {
    subjects(object, "ServiceAccount")
}

fn quota(object: &Value, limits: bool) -> Value {
    let hard = object.pointer("/status/hard").and_then(Value::as_object);
    let used = &object["status"]["used"];
    let pairs = hard.into_iter().flatten().filter(|(key, _)| key.starts_with("limits.") == limits);
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = pairs.map(|(key, hard)| {
        let used = used.get(key).map_or_else(|| "0".to_owned(), shown);
        format!("{key}: {used}/{}", shown(hard))
    });
    json!(pairs.collect::<Vec<_>>().join(", "))
}

pub(super) fn quota_requests(object: &Value) -> Value {
    quota(object, false)
}

pub(super) fn quota_limits(object: &Value) -> Value {
    quota(object, true)
}

pub(super) fn expands(object: &Value) -> Value {
    json!(object["allowVolumeExpansion"] == true)
}
