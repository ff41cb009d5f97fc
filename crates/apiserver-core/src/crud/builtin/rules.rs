//! Rules that say who may, what may flow and what is called: RBAC, NetworkPolicies, Ingresses, webhooks, quotas.

use fleetwright_apiserver_kinds::quantity::Quantity;
use serde_json::{Value, json};

use super::pods::{list, one_of, text, unsupported};
use crate::names;
use crate::status::Cause;

/// Role and ClusterRole.
pub(super) fn check_role(object: &Value, namespaced: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, rule) in list(object, "rules").iter().enumerate() {
        let at = |key: &str| format!("rules[{index}].{key}");
        let has = |key: &str| !list(rule, key).is_empty();
        if !has("verbs") {
            causes.push(Cause::required(at("verbs"), "verbs must contain at least one value"));
        }
        if has("nonResourceURLs") {
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                causes.push(Cause::invalid(at("nonResourceURLs"), &rule["nonResourceURLs"], why));
            }
            if has("apiGroups") || has("resources") || has("resourceNames") {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                causes.push(Cause::invalid(at("nonResourceURLs"), &rule["nonResourceURLs"], why));
            }
            continue;
        }
        if !has("apiGroups") {
            let why = "resource rules must supply at least one api group";
            causes.push(Cause::required(at("apiGroups"), why));
        }
        if !has("resources") {
            let why = "resource rules must supply at least one resource";
            causes.push(Cause::required(at("resources"), why));
        }
    }
    causes
}

/// RoleBinding and ClusterRoleBinding.
pub(super) fn check_binding(object: &Value, old: Option<&Value>, namespaced: bool) -> Vec<Cause> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let mut causes = Vec::new();
    let role = &object["roleRef"];
    if text(role, "apiGroup") != GROUP {
        causes.push(unsupported("roleRef.apiGroup".into(), &role["apiGroup"], &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(role, "kind")) {
        causes.push(unsupported("roleRef.kind".into(), &role["kind"], kinds));
    }
    if text(role, "name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (index, subject) in list(object, "subjects").iter().enumerate() {
        let at = |key: &str| format!("subjects[{index}].{key}");
        let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
        if name.is_empty() {
            causes.push(Cause::required(at("name"), ""));
        }
        match text(subject, "kind") {
            "ServiceAccount" => {
                if !group.is_empty() {
                    causes.push(unsupported(at("apiGroup"), &subject["apiGroup"], &[""]));
                }
                if text(subject, "namespace").is_empty() {
                    causes.push(Cause::required(at("namespace"), ""));
                }
                if let Some(why) = (!name.is_empty()).then(|| names::subdomain(name)).flatten() {
                    causes.push(Cause::invalid(at("name"), &json!(name), &why));
                }
            }
            "User" | "Group" => {
                if group != GROUP {
                    causes.push(unsupported(at("apiGroup"), &subject["apiGroup"], &[GROUP]));
                }
            }
            _ => {
                let kinds = ["ServiceAccount", "User", "Group"];
                causes.push(unsupported(at("kind"), &subject["kind"], &kinds));
            }
        }
    }
    if let Some(old) = old.filter(|old| old["roleRef"] != *role) {
        debug_assert!(old.is_object());
        // The value is Go's internal struct, whose fields have no JSON names.
        let shown = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"],
            "Name": role["name"]});
        causes.push(Cause::invalid("roleRef", &shown, "cannot change roleRef"));
    }
    causes
}

pub(super) fn check_network_policy(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (direction, side) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in list(&object["spec"], direction).iter().enumerate() {
            for (at, peer) in list(rule, side).iter().enumerate() {
                let block = &peer["ipBlock"];
                let path = format!("spec.{direction}[{index}].{side}[{at}].ipBlock");
                let broken = check_cidr(&format!("{path}.cidr"), &block["cidr"]);
                if broken.is_some() {
                    // Exceptions to nothing are not looked at.
                    causes.extend(broken);
                    continue;
                }
                for (n, cidr) in list(block, "except").iter().enumerate() {
                    causes.extend(check_cidr(&format!("{path}.except[{n}]"), cidr));
                }
            }
        }
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

pub(super) fn check_ingress(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    if list(spec, "rules").is_empty() && spec["defaultBackend"].is_null() {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", &json!([]), why));
    }
    check_backend(&mut causes, "spec.defaultBackend", &spec["defaultBackend"]);
    for (index, rule) in list(spec, "rules").iter().enumerate() {
        let host = text(rule, "host");
        let plain = host.strip_prefix("*.").unwrap_or(host);
        if let Some(why) = (!host.is_empty()).then(|| names::subdomain(plain)).flatten() {
            causes.push(Cause::invalid(format!("spec.rules[{index}].host"), &json!(host), &why));
        }
        for (n, path) in list(&rule["http"], "paths").iter().enumerate() {
            let at = format!("spec.rules[{index}].http.paths[{n}]");
            let kinds = ["Exact", "ImplementationSpecific", "Prefix"];
            match text(path, "pathType") {
                "" => {
                    let why = "pathType must be specified";
                    causes.push(Cause::required(format!("{at}.pathType"), why));
                }
                _ => one_of(&mut causes, format!("{at}.pathType"), &path["pathType"], &kinds),
            }
            let place = text(path, "path");
            let free = text(path, "pathType") == "ImplementationSpecific" && place.is_empty();
            if !free && !place.starts_with('/') {
                let why = "must be an absolute path";
                causes.push(Cause::invalid(format!("{at}.path"), &json!(place), why));
            }
            check_backend(&mut causes, &format!("{at}.backend"), &path["backend"]);
        }
    }
    causes
}

fn check_backend(causes: &mut Vec<Cause>, at: &str, backend: &Value) {
    if backend.is_null() {
        return;
    }
    let (service, resource) = (&backend["service"], &backend["resource"]);
    if service.is_null() && resource.is_null() {
        let why = "resource or service backend is required";
        causes.push(Cause::required(at, why));
    } else if service.is_object() {
        let port = &service["port"];
        if text(service, "name").is_empty() {
            causes.push(Cause::required(format!("{at}.service.name"), ""));
        }
        if text(port, "name").is_empty() && port["number"].as_i64().unwrap_or_default() == 0 {
            let why = "port name or number is required";
            causes.push(Cause::required(format!("{at}.service.port"), why));
        }
    }
}

pub(super) fn check_webhooks(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, hook) in list(object, "webhooks").iter().enumerate() {
        let at = format!("webhooks[{index}]");
        let name = text(hook, "name");
        let short = name.split('.').filter(|part| !part.is_empty()).count() < 3;
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        } else if let Some(why) = names::subdomain(name) {
            causes.push(Cause::invalid(format!("{at}.name"), &json!(name), &why));
        } else if short {
            let why = "should be a domain with at least three segments separated by dots";
            causes.push(Cause::invalid(format!("{at}.name"), &json!(name), why));
        }
        check_webhook_rules(&mut causes, &at, hook);
        one_of(
            &mut causes,
            format!("{at}.failurePolicy"),
            &hook["failurePolicy"],
            &["Fail", "Ignore"],
        );
        one_of(
            &mut causes,
            format!("{at}.matchPolicy"),
            &hook["matchPolicy"],
            &["Equivalent", "Exact"],
        );
        match text(hook, "sideEffects") {
            "None" | "NoneOnDryRun" => {}
            "" => {
                let why = "must specify one of None, NoneOnDryRun";
                causes.push(Cause::required(format!("{at}.sideEffects"), why));
            }
            _ => causes.push(unsupported(
                format!("{at}.sideEffects"),
                &hook["sideEffects"],
                &["None", "NoneOnDryRun"],
            )),
        }
        let seconds = hook["timeoutSeconds"].as_i64();
        if seconds.is_some_and(|seconds| !(1..=30).contains(&seconds)) {
            let why = "the timeout value must be between 1 and 30 seconds";
            causes.push(Cause::invalid(
                format!("{at}.timeoutSeconds"),
                &hook["timeoutSeconds"],
                why,
            ));
        }
        let client = &hook["clientConfig"];
        if client["url"].is_null() == client["service"].is_null() {
            let why = "exactly one of url or service is required";
            causes.push(Cause::required(format!("{at}.clientConfig"), why));
        }
        if let Some(url) = client["url"].as_str() {
            check_url(&mut causes, format!("{at}.clientConfig.url"), url);
        }
        let versions = list(hook, "admissionReviewVersions");
        if !versions.iter().any(|version| version == "v1" || version == "v1beta1") {
            let field = format!("{at}.admissionReviewVersions");
            causes.push(match versions {
                [] => Cause::required(field, "must specify one of v1, v1beta1"),
                _ => {
                    let why = "must include at least one of v1, v1beta1";
                    Cause::invalid(field, &hook["admissionReviewVersions"], why)
                }
            });
        }
    }
    causes
}

fn check_url(causes: &mut Vec<Cause>, field: String, url: &str) {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if scheme != "https" {
        let why = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
        causes.push(Cause::invalid(field.clone(), &json!(scheme), why));
    }
    if let Some((_, query)) = url.split_once('?') {
        let why = "query parameters are not permitted in the URL";
        causes.push(Cause::invalid(field, &json!(query), why));
    }
}

fn check_webhook_rules(causes: &mut Vec<Cause>, at: &str, hook: &Value) {
    const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    for (index, rule) in list(hook, "rules").iter().enumerate() {
        let at = format!("{at}.rules[{index}]");
        if list(rule, "operations").is_empty() {
            causes.push(Cause::required(format!("{at}.operations"), ""));
        }
        for (n, operation) in list(rule, "operations").iter().enumerate() {
            one_of(causes, format!("{at}.operations[{n}]"), operation, OPERATIONS);
        }
        for key in ["apiGroups", "apiVersions", "resources"] {
            if list(rule, key).is_empty() {
                causes.push(Cause::required(format!("{at}.{key}"), ""));
            }
        }
        let resources = list(rule, "resources");
        let all = resources.iter().any(|one| one == "*");
        let plain = |one: &&Value| !one.as_str().unwrap_or_default().contains('/');
        if all && resources.iter().filter(plain).count() > 1 {
            let why = "if '*' is present, must not specify other resources without subresources";
            causes.push(Cause::invalid(format!("{at}.resources"), &rule["resources"], why));
        }
        let scopes = ["*", "Cluster", "Namespaced"];
        one_of(causes, format!("{at}.scope"), &rule["scope"], &scopes);
    }
}

pub(super) fn check_quota(object: &Value) -> Vec<Cause> {
    const COUNTED: &[&str] = &[
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    ];
    let mut causes = Vec::new();
    for (name, value) in object["spec"]["hard"].as_object().into_iter().flatten() {
        let field = format!("spec.hard[{name}]");
        if let Some(why) = names::qualified_name(name) {
            causes.push(Cause::invalid(field.clone(), &json!(name), &why));
        } else if !name.contains('/') && !COUNTED.contains(&name.as_str()) {
            for why in [
                "must be a standard resource type or fully qualified",
                "must be a standard resource for quota",
            ] {
                causes.push(Cause::invalid(field.clone(), &json!(name), why));
            }
        }
        let negative = value.as_str().and_then(Quantity::parse).is_some_and(|q| q.is_negative());
        if negative {
            causes.push(Cause::invalid(field, value, "must be greater than or equal to 0"));
        }
    }
    causes
}

pub(super) fn check_claim(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    if list(spec, "accessModes").is_empty() {
        let why = "at least 1 access mode is required";
        causes.push(Cause::required("spec.accessModes", why));
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
    if let Some(old) = old {
        let fixed = |object: &Value| {
            let mut spec = object["spec"].clone();
            for free in ["resources", "volumeName", "volumeAttributesClassName"] {
                spec[free] = Value::Null;
            }
            spec
        };
        if fixed(object) != fixed(old) {
            let why = "spec is immutable after creation except resources.requests and \
                       volumeAttributesClassName for bound claims";
            causes.push(Cause::forbidden("spec", why));
        }
    }
    causes
}
