//! The rules of built-in kinds that no schema tells: defaults, folding, and checks that are Go
//! code upstream. A named subset: what our programs and kubectl touch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::put;
use crate::admission;
use crate::names;
use crate::scheme::ResourceType;
use crate::selector::LabelSelector;
use crate::status::Cause;

/// ConfigMaps and Secrets: all values together.
const DATA_LIMIT_BYTES: usize = 1024 * 1024;

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn prepare_create(rt: &ResourceType, object: &mut Value) {
    match (rt.custom, rt.kind.as_str()) {
        (false, "Namespace") => {
            let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
            let mut finalizers = finalizers.cloned().unwrap_or_default();
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                finalizers.push(json!("kubernetes"));
            }
            object["spec"] = json!({"finalizers": finalizers});
            object["status"] = json!({"phase": "Active"});
        }
        (false, "Pod" | "PersistentVolume" | "PersistentVolumeClaim") => {
            object["status"] = json!({"phase": "Pending"});
        }
        (false, "Service" | "Ingress") => object["status"] = json!({"loadBalancer": {}}),
        (false, "StatefulSet") => object["status"] = json!({"replicas": 0}),
        (false, "PodDisruptionBudget") => {
            // No `observedGeneration`: until a controller has looked, nothing may be evicted.
            object["status"] = json!({"currentHealthy": 0, "desiredHealthy": 0,
                "disruptionsAllowed": 0, "expectedPods": 0});
        }
        (false, "ValidatingAdmissionPolicy") => object["status"] = json!({}),
        _ => {}
    }
}

pub(super) fn prepare_update(rt: &ResourceType, object: &mut Value, old: &Value) {
    if !rt.custom && rt.kind == "Namespace" {
        // Only /finalize changes the finalizers, which are all of the spec.
        put(object, "spec", old.get("spec"));
    }
}

/// Defaults and folding, once the types are known to be right.
pub(super) fn normalise(rt: &ResourceType, object: &mut Value) {
    match rt.kind.as_str() {
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            if name.is_string() {
                object["metadata"]["labels"][NAME_LABEL] = name;
            }
        }
        "Secret" => {
            fold_secret(object);
            unwrap_lines(object, "data");
        }
        "ConfigMap" => unwrap_lines(object, "binaryData"),
        "NetworkPolicy" => default_network_policy(object),
        "Service" => default_service(object),
        "ValidatingAdmissionPolicy" => admission::default_policy(object),
        "ValidatingAdmissionPolicyBinding" => admission::default_binding(object),
        _ => {}
    }
    for key in ["data", "binaryData"] {
        if object[key].as_object().is_some_and(Map::is_empty) {
            put(object, key, None);
        }
    }
}

/// Base64 may come wrapped in lines; it is stored without them, as upstream stores what it decoded.
fn unwrap_lines(object: &mut Value, key: &str) {
    for value in object.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten() {
        if let Value::String(text) = value.1 {
            text.retain(|c| !matches!(c, '\r' | '\n'));
        }
    }
}

/// `stringData` is write-only: it goes into `data`, and wins there.
fn fold_secret(object: &mut Value) {
    let plain = object.get("stringData").and_then(Value::as_object).cloned().unwrap_or_default();
    put(object, "stringData", None);
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        object["data"][key] = json!(STANDARD.encode(text));
    }
    if object["type"].as_str().unwrap_or_default().is_empty() {
        object["type"] = json!("Opaque");
    }
}

fn default_network_policy(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    if spec["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        let egress = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
        let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec["policyTypes"] = types;
    }
    for direction in ["ingress", "egress"] {
        let rules = spec.get_mut(direction).and_then(Value::as_array_mut);
        let ports = rules.into_iter().flatten().filter_map(|rule| rule.get_mut("ports"));
        for port in ports.filter_map(Value::as_array_mut).flatten() {
            if port["protocol"].is_null() {
                port["protocol"] = json!("TCP");
            }
        }
    }
}

/// What a Service without `type` is. Addresses are not given out here.
fn default_service(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    if spec["type"].is_null() {
        spec["type"] = json!("ClusterIP");
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter(|port| port.is_object()) {
        if port["protocol"].is_null() {
            port["protocol"] = json!("TCP");
        }
        if port["targetPort"].is_null() {
            port["targetPort"] = port["port"].clone();
        }
    }
}

pub(super) fn validate(rt: &ResourceType, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    match rt.kind.as_str() {
        "ConfigMap" => validate_config_map(object, old),
        "Secret" => validate_secret(object, old),
        "Event" => validate_event(object),
        "Lease" => validate_lease(object),
        "NetworkPolicy" => validate_network_policy(object),
        "PodDisruptionBudget" => validate_budget(object),
        "ValidatingAdmissionPolicy" => admission::check_policy(object),
        "ValidatingAdmissionPolicyBinding" => admission::check_binding(object),
        _ => Vec::new(),
    }
}

fn entries<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn validate_config_map(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in entries(object, field) {
            if let Some(why) = names::config_key(key) {
                causes.push(Cause::invalid(format!("{field}[{key}]"), &json!(key), &why));
            }
            if field == "data" && object["binaryData"].get(key).is_some() {
                let why = "duplicate of key present in binaryData";
                causes.push(Cause::invalid(format!("data[{key}]"), &json!(key), why));
            }
            size += value.as_str().map_or(0, str::len);
        }
    }
    if size > DATA_LIMIT_BYTES {
        causes.push(Cause::too_long("[]", DATA_LIMIT_BYTES as u64));
    }
    causes.extend(check_sealed(object, old, &["data", "binaryData"]));
    causes
}

/// What `immutable: true` forbids.
fn check_sealed(object: &Value, old: Option<&Value>, fields: &[&str]) -> Vec<Cause> {
    let Some(old) = old.filter(|old| old["immutable"] == true) else {
        return Vec::new();
    };
    let detail = "field is immutable when `immutable` is set";
    let changed = fields.iter().filter(|field| object.get(**field) != old.get(**field));
    let opened = (object["immutable"] != true).then_some(&"immutable");
    opened.into_iter().chain(changed).map(|field| Cause::forbidden(*field, detail)).collect()
}

fn validate_secret(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut size = 0;
    for (key, value) in entries(object, "data") {
        if let Some(why) = names::config_key(key) {
            causes.push(Cause::invalid(format!("data[{key}]"), &json!(key), &why));
        }
        size += value.as_str().map_or(0, str::len) / 4 * 3;
    }
    if size > DATA_LIMIT_BYTES {
        causes.push(Cause::too_long("data", DATA_LIMIT_BYTES as u64));
    }
    let has = |key: &str| object["data"].get(key).is_some();
    let required: &[&str] = match object["type"].as_str().unwrap_or_default() {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        // One of the two is enough.
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            &["username", "password"]
        }
        _ => &[],
    };
    let missing = required.iter().filter(|key| !has(key));
    causes.extend(missing.map(|key| Cause::required(format!("data[{key}]"), "")));
    if old.is_some_and(|old| old["type"] != object["type"]) {
        causes.push(Cause::invalid("type", &object["type"], "field is immutable"));
    }
    causes.extend(check_sealed(object, old, &["data"]));
    causes
}

fn validate_event(object: &Value) -> Vec<Cause> {
    let about = object["involvedObject"]["namespace"].as_str().unwrap_or_default();
    let own = object["metadata"]["namespace"].as_str().unwrap_or_default();
    // Events about cluster-scoped objects live in the namespace `default`.
    let fits = about == own || (about.is_empty() && own == "default");
    let field = "involvedObject.namespace";
    let cause = || Cause::invalid(field, &json!(about), "does not match event.namespace");
    if fits { Vec::new() } else { vec![cause()] }
}

fn validate_lease(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let rules = [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ];
    for (field, least, detail) in rules {
        let value = &object["spec"][field];
        if value.as_i64().is_some_and(|number| number < least) {
            causes.push(Cause::invalid(format!("spec.{field}"), value, detail));
        }
    }
    causes
}

fn validate_network_policy(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (direction, side) in [("ingress", "from"), ("egress", "to")] {
        let rules = object["spec"][direction].as_array().into_iter().flatten().enumerate();
        for (index, rule) in rules {
            for (at, peer) in rule[side].as_array().into_iter().flatten().enumerate() {
                let block = &peer["ipBlock"];
                let path = format!("spec.{direction}[{index}].{side}[{at}].ipBlock");
                causes.extend(check_cidr(&format!("{path}.cidr"), &block["cidr"]));
                let except = block["except"].as_array().into_iter().flatten().enumerate();
                for (n, cidr) in except {
                    causes.extend(check_cidr(&format!("{path}.except[{n}]"), cidr));
                }
            }
        }
    }
    causes
}

fn validate_budget(object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let both = !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null();
    let mut causes = Vec::new();
    if both {
        let why = "minAvailable and maxUnavailable cannot be both set";
        causes.push(Cause::invalid_without_value("spec", why));
    }
    if let Err(error) = LabelSelector::from_object(&spec["selector"]) {
        causes.push(Cause::invalid_without_value("spec.selector", &error.to_string()));
    }
    causes
}

fn check_cidr(field: &str, value: &Value) -> Option<Cause> {
    let text = value.as_str()?;
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let most = if address.parse::<std::net::IpAddr>().ok()?.is_ipv4() { 32 } else { 128 };
        bits.parse::<u8>().ok().filter(|bits| *bits <= most)
    });
    let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    parsed.is_none().then(|| Cause::invalid(field, value, detail))
}
