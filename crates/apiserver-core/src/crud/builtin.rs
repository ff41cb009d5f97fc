//! The rules of built-in kinds that no schema tells: what a server begins, folds and checks in Go code upstream. A
//! named subset: what our programs and kubectl touch. Defaults are in `fleetwright-apiserver-kinds`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_apiserver_kinds::{defaults, settle};
use serde_json::{Value, json};

use super::put;
use crate::admission;
use crate::crd;
use crate::names;
use crate::scheme::ResourceType;
use crate::selector::LabelSelector;
use crate::status::Cause;

pub mod limits;
mod pods;
mod rules;
pub mod services;
mod workloads;

/// ConfigMaps and Secrets: all values together.
const DATA_LIMIT_BYTES: usize = 1024 * 1024;

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn prepare_create(rt: &ResourceType, object: &mut Value) {
    let Some(kind) = rt.builtin else {
        return;
    };
    // A kubelet registers its node with a status; everybody else's is the server's to begin.
    if kind.has_status() && kind.kind != "Node" {
        object["status"] = settle::empty_status(&kind.definition());
    }
    match (kind.group, kind.kind) {
        ("", "Namespace") => {
            let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
            let mut finalizers = finalizers.cloned().unwrap_or_default();
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                finalizers.push(json!("kubernetes"));
            }
            object["spec"] = json!({"finalizers": finalizers});
            object["status"] = json!({"phase": "Active"});
        }
        ("", "Pod") => {
            // Requests follow from limits before anybody counts them.
            defaults::apply(kind, object);
            pods::admit(object);
        }
        ("", "PersistentVolume" | "PersistentVolumeClaim") => {
            object["status"] = json!({"phase": "Pending"});
        }
        ("batch", "Job") => {
            // The pods' labels come before the check that the selector fits them.
            workloads::adopt_pods(object);
        }
        ("apiextensions.k8s.io", _) => put(object, "status", None),
        _ => {}
    }
}

pub(super) fn prepare_update(rt: &ResourceType, object: &mut Value, old: &Value) {
    match (rt.custom, rt.kind.as_str()) {
        // Only /finalize changes the finalizers, which are all of the spec.
        (false, "Namespace") => put(object, "spec", old.get("spec")),
        (false, "Service") => services::inherit(object, old),
        (false, "Pod") => inherit_pod(object, old),
        (false, "Job") => inherit_job(object, old),
        _ => {}
    }
}

/// What admission gave a pod stays when a client does not repeat it.
fn inherit_pod(object: &mut Value, old: &Value) {
    for key in
        ["serviceAccountName", "serviceAccount", "priority", "preemptionPolicy", "tolerations"]
    {
        if object["spec"][key].is_null() && !old["spec"][key].is_null() {
            object["spec"][key] = old["spec"][key].clone();
        }
    }
}

fn inherit_job(object: &mut Value, old: &Value) {
    if object["spec"]["selector"].is_null() {
        object["spec"]["selector"] = old["spec"]["selector"].clone();
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
        "Secret" => fold_secret(object),
        "CustomResourceDefinition" => crd::default(object),
        "ValidatingAdmissionPolicy" => admission::default_policy(object),
        "ValidatingAdmissionPolicyBinding" => admission::default_binding(object),
        _ => {}
    }
    if let Some(kind) = rt.builtin {
        defaults::apply(kind, object);
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
}

pub(super) fn validate(rt: &ResourceType, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    match (rt.group.as_str(), rt.kind.as_str()) {
        ("", "ConfigMap") => validate_config_map(object, old),
        ("", "Secret") => validate_secret(object, old),
        ("", "Event") => validate_event(object, "involvedObject"),
        ("events.k8s.io", "Event") => validate_new_event(object, old),
        ("", "Pod") => validate_pod(object, old),
        ("", "Service") => services::check(object, old),
        ("", "ReplicationController") => workloads::check_replication_controller(object),
        ("", "ResourceQuota") => rules::check_quota(object),
        ("", "PersistentVolumeClaim") => rules::check_claim(object, old),
        ("apps", "ControllerRevision") => Vec::new(),
        ("apps", _) => workloads::check(rt, object, old),
        ("batch", "Job") => workloads::check_job(object, old),
        ("batch", "CronJob") => workloads::check_cron_job(object),
        ("autoscaling", _) => workloads::check_autoscaler(object),
        ("coordination.k8s.io", "Lease") => validate_lease(object),
        ("networking.k8s.io", "NetworkPolicy") => rules::check_network_policy(object),
        ("networking.k8s.io", "Ingress") => rules::check_ingress(object),
        ("policy", "PodDisruptionBudget") => validate_budget(object),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            rules::check_role(object, rt.namespaced)
        }
        ("rbac.authorization.k8s.io", _) => rules::check_binding(object, old, rt.namespaced),
        ("apiextensions.k8s.io", _) => crd::check_definition(object, old),
        ("apiregistration.k8s.io", _) => validate_api_service(object),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            admission::check_policy(object)
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            admission::check_binding(object)
        }
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => rules::check_webhooks(object),
        _ => Vec::new(),
    }
}

/// What is stored although it does nothing here.
pub(super) fn warnings(rt: &ResourceType) -> Vec<String> {
    let what = match rt.kind.as_str() {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => "calls no webhooks",
        "MutatingAdmissionPolicy" | "MutatingAdmissionPolicyBinding" => {
            "evaluates no MutatingAdmissionPolicies"
        }
        _ => return Vec::new(),
    };
    vec![format!("stored, but this server {what}")]
}

fn validate_pod(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    pods::check_spec(&mut causes, "spec", &object["spec"]);
    if let Some(old) = old {
        pods::check_update(&mut causes, object, old);
    }
    causes
}

/// Requests for another API server cannot be passed on.
fn validate_api_service(object: &Value) -> Vec<Cause> {
    let why = "this server does not forward requests to other API servers";
    let remote = object["spec"]["service"].is_object();
    remote.then(|| Cause::forbidden("spec.service", why)).into_iter().collect()
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

/// `events.k8s.io/v1` asks for more than the core version does.
fn validate_new_event(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = validate_event(object, "regarding");
    if old.is_some() {
        return causes;
    }
    if object["eventTime"].is_null() {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = object["type"].as_str().unwrap_or_default();
    if !matches!(kind, "Normal" | "Warning") {
        let why = format!("has invalid value: {kind}");
        causes.push(Cause::invalid("type", &json!(kind), &why));
    }
    causes
}

fn validate_event(object: &Value, about: &str) -> Vec<Cause> {
    let about = object[about]["namespace"].as_str().unwrap_or_default();
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

#[cfg(test)]
mod tests;
