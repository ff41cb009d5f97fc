//! Which CustomResourceDefinitions are refused, and in which words.
//!
//! Upstream checks its internal form, in which whatever all versions share stands at the top: so
//! the schema of a definition with one version is called `spec.validation.openAPIV3Schema`.

use serde_json::{Map, Value, json};

use crate::names;
use crate::status::{Cause, CauseReason};

mod rules;
mod schema;
mod structural;
mod versions;

/// Where a `*.k8s.io` group says who approved it.
pub(super) const APPROVAL: &str = "api-approved.kubernetes.io";
const APPROVAL_LINK: &str = "https://github.com/kubernetes/enhancements/pull/1111";
const CONVERSION: &str = "conversion by webhooks is not served here: list versions that differ \
    in nothing but their name, and use strategy None";

/// Groups that belong to the Kubernetes project.
pub(super) fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|domain| {
        group.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

pub(super) fn check(crd: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &crd["spec"];
    let text = |key: &str| spec["names"][key].as_str().unwrap_or_default();
    let group = spec["group"].as_str().unwrap_or_default();
    let name = crd["metadata"]["name"].as_str().unwrap_or_default();
    if name != format!("{}.{group}", text("plural")) && names::subdomain(name).is_none() {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &json!(name), detail));
    }
    causes.extend(check_group(group));
    causes.extend(check_scope(&spec["scope"]));
    causes.extend(versions::check(spec));
    causes.extend(check_names(&spec["names"], "spec.names", true));
    causes.extend(check_conversion(&spec["conversion"]));
    causes.extend(check_names(&crd["status"]["acceptedNames"], "status.acceptedNames", false));
    causes.extend(versions::check_stored(crd));
    causes.extend(check_approval(crd, group));
    if let Some(old) = old {
        causes.extend(check_unchanged(crd, old));
    }
    causes
}

fn check_group(group: &str) -> Option<Cause> {
    if group.is_empty() {
        return Some(Cause::required("spec.group", ""));
    }
    if let Some(why) = names::subdomain(group) {
        return Some(Cause::invalid("spec.group", &json!(group), &why));
    }
    let detail = "should be a domain with at least one dot";
    (!group.contains('.')).then(|| Cause::invalid("spec.group", &json!(group), detail))
}

fn check_scope(scope: &Value) -> Option<Cause> {
    match scope.as_str().unwrap_or_default() {
        "Namespaced" | "Cluster" => None,
        "" => Some(Cause::required("spec.scope", "")),
        _ => Some(not_supported("spec.scope", scope, &["Cluster", "Namespaced"])),
    }
}

/// `Unsupported value: …: supported values: …`, each in quotes.
fn not_supported(field: &str, value: &Value, supported: &[&str]) -> Cause {
    let quoted: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
    Cause::not_supported(field, value, &quoted)
}

/// A JSON object with its fields in this order, as upstream prints structs.
fn in_order(fields: &[(&str, Value)]) -> String {
    let one = |(key, value): &(&str, Value)| format!("{key:?}:{value}");
    format!("{{{}}}", fields.iter().map(one).collect::<Vec<_>>().join(","))
}

/// `Invalid value: VALUE: DETAIL` of a value that is printed already.
fn invalid(field: &str, printed: &str, detail: &str) -> Cause {
    let message = format!("Invalid value: {printed}: {detail}");
    Cause { reason: CauseReason::Invalid, field: field.to_owned(), message }
}

fn check_names(found: &Value, at: &str, whole: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    let keys = ["plural", "singular", "kind", "listKind"];
    if whole {
        let missing = keys.into_iter().filter(|key| text(key).is_empty());
        causes.extend(missing.map(|key| Cause::required(format!("{at}.{key}"), "")));
    }
    for key in keys.into_iter().filter(|key| !text(key).is_empty()) {
        let (name, field) = (text(key), format!("{at}.{key}"));
        let mixed = key.to_lowercase().contains("kind");
        let checked = if mixed { name.to_lowercase() } else { name.to_owned() };
        if let Some(why) = names::label_1035(&checked) {
            let why = if mixed {
                format!("may have mixed case, but should otherwise match: {why}")
            } else {
                why
            };
            causes.push(Cause::invalid(field, &json!(name), &why));
        }
    }
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        let why = "kind and listKind may not be the same";
        causes.push(Cause::invalid(format!("{at}.listKind"), &found["listKind"], why));
    }
    for key in ["shortNames", "categories"] {
        for (index, name) in found[key].as_array().into_iter().flatten().enumerate() {
            if let Some(why) = name.as_str().and_then(names::label_1035) {
                causes.push(Cause::invalid(format!("{at}.{key}[{index}]"), name, &why));
            }
        }
    }
    causes
}

fn check_conversion(conversion: &Value) -> Option<Cause> {
    let strategy = &conversion["strategy"];
    let field = "spec.conversion.strategy";
    match strategy.as_str().unwrap_or_default() {
        "None" if conversion["webhook"].is_null() => None,
        "None" => {
            let why = "should not be set when strategy is not set to Webhook";
            Some(Cause::forbidden("spec.conversion.webhook", why))
        }
        "Webhook" => Some(Cause::forbidden(field, CONVERSION)),
        _ => Some(not_supported(field, strategy, &["None", "Webhook"])),
    }
}

fn check_approval(crd: &Value, group: &str) -> Option<Cause> {
    if !is_protected(group) {
        return None;
    }
    let text = crd["metadata"]["annotations"][APPROVAL].as_str().unwrap_or_default();
    let field = format!("metadata.annotations[{APPROVAL}]");
    let demand = format!("protected groups must have approval annotation {APPROVAL:?}");
    if text.is_empty() {
        return Some(Cause::required(field, &format!("{demand}, see {APPROVAL_LINK}")));
    }
    let link = text.starts_with("https://") || text.starts_with("http://");
    (!link && !text.starts_with("unapproved")).then(|| {
        let why = format!(
            "{demand} with either a URL or a reason starting with \"unapproved\", see {APPROVAL_LINK}"
        );
        Cause::invalid(field, &json!(text), &why)
    })
}

/// What a definition may not change: its names in paths, and what its stored objects rest on.
fn check_unchanged(crd: &Value, old: &Value) -> Vec<Cause> {
    let always = ["/spec/group", "/spec/names/plural"];
    let in_use = ["/spec/scope", "/spec/names/kind"];
    let in_use = in_use.into_iter().filter(|_| super::is_established(old));
    let changed = in_use.chain(always).filter(|at| crd.pointer(at) != old.pointer(at));
    let cause = |at: &str| {
        let field = at.trim_start_matches('/').replace('/', ".");
        Cause::invalid(field, crd.pointer(at).unwrap_or(&Value::Null), "field is immutable")
    };
    changed.map(cause).collect()
}

/// The keys of a map of schemas, each with its path.
fn children<'a>(
    fields: &'a Map<String, Value>,
    key: &'a str,
    at: &'a str,
) -> impl Iterator<Item = (String, &'a Value)> {
    let all = fields.get(key).and_then(Value::as_object).into_iter().flatten();
    all.map(move |(name, child)| (format!("{at}.{key}[{name}]"), child))
}
