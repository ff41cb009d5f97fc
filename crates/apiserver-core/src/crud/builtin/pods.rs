//! What pods must look like, alone and in templates, and what admission adds to them.

use std::collections::BTreeSet;

use fleetwright_apiserver_kinds::quantity::Quantity;
use serde_json::{Value, json};

use crate::names;
use crate::status::Cause;

const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
const DNS_POLICIES: &[&str] = &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
const RESTART_POLICIES: &[&str] = &["Always", "Never", "OnFailure"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
/// Evicted from a node that is gone for so long.
const TOLERATED_SECONDS: i64 = 300;

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// `Unsupported value` with the choices quoted.
pub(super) fn unsupported(field: String, value: &Value, choices: &[&str]) -> Cause {
    let quoted: Vec<String> = choices.iter().map(|one| format!("\"{one}\"")).collect();
    Cause::not_supported(field, value, &quoted)
}

/// A text that must be one of these, if it is there.
pub(super) fn one_of(causes: &mut Vec<Cause>, field: String, value: &Value, choices: &[&str]) {
    let fine = value.as_str().is_none_or(|text| text.is_empty() || choices.contains(&text));
    if !fine {
        causes.push(unsupported(field, value, choices));
    }
}

pub(super) fn port_number(causes: &mut Vec<Cause>, field: String, value: &Value) {
    let fits = value.as_i64().is_some_and(|port| (1..=65_535).contains(&port));
    if !fits {
        let why = "must be between 1 and 65535, inclusive";
        causes.push(Cause::invalid(field, value, why));
    }
}

pub(super) fn not_negative(causes: &mut Vec<Cause>, field: String, value: &Value) {
    if value.as_i64().is_some_and(|number| number < 0) {
        causes.push(Cause::invalid(field, value, "must be greater than or equal to 0"));
    }
}

/// What upstream's admission plugins add to every new pod: tolerations, priority, its account.
pub(super) fn admit(pod: &mut Value) {
    let spec = &mut pod["spec"];
    for (name, other) in
        [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")]
    {
        if text(spec, name).is_empty() && !text(spec, other).is_empty() {
            spec[name] = spec[other].clone();
        }
    }
    if text(spec, "serviceAccountName").is_empty() {
        spec["serviceAccountName"] = json!("default");
        spec["serviceAccount"] = json!("default");
    }
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = list(spec, "tolerations").iter().any(|one| {
            let effect = text(one, "effect");
            let any = text(one, "key").is_empty() && text(one, "operator") == "Exists";
            (any || text(one, "key") == key) && (effect.is_empty() || effect == "NoExecute")
        });
        if !covered {
            let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": TOLERATED_SECONDS});
            match spec["tolerations"].as_array_mut() {
                Some(all) => all.push(toleration),
                None => spec["tolerations"] = json!([toleration]),
            }
        }
    }
    let priority = match text(spec, "priorityClassName") {
        "" => 0,
        "system-node-critical" => 2_000_001_000,
        "system-cluster-critical" => 2_000_000_000,
        // Classes of the user are objects of their own, which are not looked up.
        _ => spec["priority"].as_i64().unwrap_or_default(),
    };
    spec["priority"] = json!(priority);
    if spec["preemptionPolicy"].is_null() {
        spec["preemptionPolicy"] = json!("PreemptLowerPriority");
    }
    pod["status"] = json!({"phase": "Pending", "qosClass": qos_class(&pod["spec"])});
}

/// How much of what its containers may have at most they are sure to get.
pub(super) fn qos_class(spec: &Value) -> &'static str {
    let mut any = false;
    let mut all = true;
    for container in list(spec, "containers").iter().chain(list(spec, "initContainers")) {
        let resources = &container["resources"];
        for name in ["cpu", "memory"] {
            let of = |kind: &str| resources[kind][name].as_str().and_then(Quantity::parse);
            let (limit, request) = (of("limits"), of("requests"));
            any |= limit.is_some() || request.is_some();
            all &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// All that is wrong with a pod spec at the path.
pub(super) fn check_spec(causes: &mut Vec<Cause>, path: &str, spec: &Value) {
    let volumes = check_volumes(causes, path, spec);
    if list(spec, "containers").is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names = BTreeSet::new();
    for group in ["containers", "initContainers"] {
        for (index, container) in list(spec, group).iter().enumerate() {
            let at = format!("{path}.{group}[{index}]");
            check_container(causes, &at, container, &volumes);
            let name = text(container, "name");
            if !name.is_empty() && !names.insert(name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &json!(name)));
            }
        }
    }
    one_of(causes, format!("{path}.restartPolicy"), &spec["restartPolicy"], RESTART_POLICIES);
    one_of(causes, format!("{path}.dnsPolicy"), &spec["dnsPolicy"], DNS_POLICIES);
    not_negative(
        causes,
        format!("{path}.terminationGracePeriodSeconds"),
        &spec["terminationGracePeriodSeconds"],
    );
    if let Some(deadline) = spec["activeDeadlineSeconds"].as_i64().filter(|seconds| *seconds < 1) {
        let why = "must be between 1 and 2147483647, inclusive";
        let field = format!("{path}.activeDeadlineSeconds");
        causes.push(Cause::invalid(field, &json!(deadline), why));
    }
    for key in ["nodeName", "serviceAccountName"] {
        let value = text(spec, key);
        if let Some(why) = (!value.is_empty()).then(|| names::subdomain(value)).flatten() {
            causes.push(Cause::invalid(format!("{path}.{key}"), &json!(value), &why));
        }
    }
}

fn check_volumes<'a>(causes: &mut Vec<Cause>, path: &str, spec: &'a Value) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let field = format!("{path}.volumes[{index}].name");
        let name = text(volume, "name");
        if name.is_empty() {
            causes.push(Cause::required(field, ""));
            continue;
        }
        if let Some(why) = names::label(name) {
            causes.push(Cause::invalid(field.clone(), &json!(name), &why));
        }
        if !known.insert(name) {
            causes.push(Cause::duplicate(field, &json!(name)));
        }
        let sources = volume.as_object().into_iter().flatten().filter(|(key, _)| *key != "name");
        if let Some((second, _)) = sources.filter(|(_, value)| value.is_object()).nth(1) {
            let field = format!("{path}.volumes[{index}].{second}");
            causes.push(Cause::forbidden(field, "may not specify more than 1 volume type"));
        }
    }
    known
}

fn check_container(causes: &mut Vec<Cause>, at: &str, container: &Value, volumes: &BTreeSet<&str>) {
    let name = text(container, "name");
    if name.is_empty() {
        causes.push(Cause::required(format!("{at}.name"), ""));
    } else if let Some(why) = names::label(name) {
        causes.push(Cause::invalid(format!("{at}.name"), &json!(name), &why));
    }
    let image = text(container, "image");
    if image.is_empty() {
        causes.push(Cause::required(format!("{at}.image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(format!("{at}.image"), &json!(image), why));
    }
    check_ports(causes, at, container);
    for (index, variable) in list(container, "env").iter().enumerate() {
        if text(variable, "name").is_empty() {
            causes.push(Cause::required(format!("{at}.env[{index}].name"), ""));
        }
        let from = &variable["valueFrom"];
        if from.is_object() && !text(variable, "value").is_empty() {
            let why = "may not be specified when `value` is not empty";
            let field = format!("{at}.env[{index}].valueFrom");
            causes.push(Cause::invalid_without_value(field, why));
        }
    }
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let at = format!("{at}.volumeMounts[{index}]");
        match text(mount, "name") {
            "" => causes.push(Cause::required(format!("{at}.name"), "")),
            name if !volumes.contains(name) => {
                causes.push(Cause::not_found(format!("{at}.name"), &json!(name)));
            }
            _ => {}
        }
        if text(mount, "mountPath").is_empty() {
            causes.push(Cause::required(format!("{at}.mountPath"), ""));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        check_probe(causes, &format!("{at}.{probe}"), &container[probe], probe != "readinessProbe");
    }
    one_of(causes, format!("{at}.imagePullPolicy"), &container["imagePullPolicy"], PULL_POLICIES);
    check_resources(causes, &format!("{at}.resources"), &container["resources"]);
}

fn check_ports(causes: &mut Vec<Cause>, at: &str, container: &Value) {
    let mut names_seen = BTreeSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let at = format!("{at}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            for why in names::port_name(name) {
                causes.push(Cause::invalid(format!("{at}.name"), &json!(name), &why));
            }
            if !names_seen.insert(name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &json!(name)));
            }
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => causes.push(Cause::required(format!("{at}.containerPort"), "")),
            Some(_) => port_number(causes, format!("{at}.containerPort"), &port["containerPort"]),
        }
        if port["hostPort"].as_i64().is_some_and(|port| port != 0) {
            port_number(causes, format!("{at}.hostPort"), &port["hostPort"]);
        }
        match text(port, "protocol") {
            "" => causes.push(Cause::required(format!("{at}.protocol"), "")),
            _ => one_of(causes, format!("{at}.protocol"), &port["protocol"], PROTOCOLS),
        }
    }
}

fn check_probe(causes: &mut Vec<Cause>, at: &str, probe: &Value, once: bool) {
    if !probe.is_object() {
        return;
    }
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    if !handlers.iter().any(|handler| probe[*handler].is_object()) {
        causes.push(Cause::required(at, "must specify a handler type"));
    }
    for key in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        not_negative(causes, format!("{at}.{key}"), &probe[key]);
    }
    if once && probe["successThreshold"].as_i64().is_some_and(|times| times > 1) {
        let field = format!("{at}.successThreshold");
        causes.push(Cause::invalid(field, &probe["successThreshold"], "must be 1"));
    }
    if let Some(get) = probe.get("httpGet").filter(|get| get["port"].is_i64()) {
        port_number(causes, format!("{at}.httpGet.port"), &get["port"]);
    }
}

/// Nothing asks for more than it may have.
fn check_resources(causes: &mut Vec<Cause>, at: &str, resources: &Value) {
    let of = |kind: &str, name: &str| resources[kind][name].as_str().and_then(Quantity::parse);
    for kind in ["limits", "requests"] {
        for (name, value) in resources[kind].as_object().into_iter().flatten() {
            if of(kind, name).is_some_and(|quantity| quantity.is_negative()) {
                let why = "must be greater than or equal to 0";
                causes.push(Cause::invalid(format!("{at}.{kind}[{name}]"), value, why));
            }
        }
    }
    for (name, value) in resources["requests"].as_object().into_iter().flatten() {
        if let (Some(request), Some(limit)) = (of("requests", name), of("limits", name))
            && request > limit
        {
            let limit = text(&resources["limits"], name);
            let why = format!("must be less than or equal to {name} limit of {limit}");
            causes.push(Cause::invalid(format!("{at}.requests"), value, &why));
        }
    }
}

/// The part of a running pod's spec that may change: images, deadlines, tolerations.
pub(super) fn check_update(causes: &mut Vec<Cause>, pod: &Value, old: &Value) {
    let fixed = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for group in ["containers", "initContainers"] {
            for container in spec[group].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        for key in [
            "activeDeadlineSeconds",
            "terminationGracePeriodSeconds",
            "tolerations",
            "schedulingGates",
            "nodeName",
        ] {
            if let Some(fields) = spec.as_object_mut() {
                fields.remove(key);
            }
        }
        spec
    };
    let (now, before) = (text(&pod["spec"], "nodeName"), text(&old["spec"], "nodeName"));
    // A pod is bound once.
    if fixed(pod) != fixed(old) || (!before.is_empty() && now != before) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,\
            `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
            existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
            previously negative)";
        causes.push(Cause::forbidden("spec", why));
    }
}
