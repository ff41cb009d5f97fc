//! ValidatingAdmissionPolicies: which requests an administrator's CEL expressions refuse.
//!
//! A named subset of `admissionregistration.k8s.io/v1`: resource rules, namespace and object
//! selectors, validations with message, messageExpression and reason, failurePolicy Fail,
//! bindings that Deny. A policy that needs more is refused when it is written ([`check_policy`]),
//! since a policy that is stored but not applied would be a false promise. Texts follow
//! kube-apiserver 1.36.
//!
//! Who asks is not known here, so `request.userInfo` and `authorizer` are refused as well.

use serde_json::{Value, json};

use crate::scheme::ResourceType;
use crate::selector::LabelSelector;
use crate::status::{ApiError, Cause};

mod cel;

const GROUP: &str = "admissionregistration.k8s.io";
const REASONS: [&str; 4] = ["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"];

/// What a request would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// Another state of an object.
    Update,
    /// The object's deletion.
    Delete,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A request that is about to be stored.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The kind.
    pub rt: &'a ResourceType,
    /// The object's name.
    pub name: &'a str,
    /// As `status`; None for the object itself.
    pub subresource: Option<&'a str>,
    /// What would be done.
    pub operation: Operation,
    /// The state to be stored; None on a delete.
    pub object: Option<&'a Value>,
    /// The state before; None on a create.
    pub old: Option<&'a Value>,
    /// The Namespace object it lives in; None for cluster-scoped kinds.
    pub namespace: Option<&'a Value>,
    /// Whether nothing is stored.
    pub dry_run: bool,
}

/// Asks every policy that a binding puts into force. The first refusal in order of the bindings
/// is the answer.
///
/// # Errors
/// What the policy says: 422 unless its validation names another reason.
pub fn admit(
    policies: &[&Value],
    bindings: &[&Value],
    request: &Request<'_>,
) -> Result<(), ApiError> {
    // Upstream too keeps policies from locking their own kinds.
    if request.rt.group == GROUP {
        return Ok(());
    }
    for binding in bindings {
        let name = &binding["spec"]["policyName"];
        let Some(policy) = policies.iter().find(|policy| policy["metadata"]["name"] == *name)
        else {
            continue;
        };
        let everywhere = binding["spec"]["matchResources"].is_null();
        if matches(&policy["spec"]["matchConstraints"], true, request)
            && (everywhere || matches(&binding["spec"]["matchResources"], false, request))
        {
            evaluate(policy, binding, request)?;
        }
    }
    Ok(())
}

/// `strict`: without rules nothing matches (a policy); else everything does (a binding).
fn matches(resources: &Value, strict: bool, request: &Request<'_>) -> bool {
    let rules = resources["resourceRules"].as_array().map_or(&[][..], Vec::as_slice);
    let ruled = if rules.is_empty() { !strict } else { rules.iter().any(|r| fits(r, request)) };
    let selects = |selector: &Value, object: Option<&Value>| {
        let selector = LabelSelector::from_object(selector);
        object.is_some_and(|object| selector.is_ok_and(|selector| selector.matches(object)))
    };
    let objects = &resources["objectSelector"];
    let namespaces = &resources["namespaceSelector"];
    ruled
        && (selects(objects, request.object) || selects(objects, request.old))
        && (!request.rt.namespaced || selects(namespaces, request.namespace))
}

fn fits(rule: &Value, request: &Request<'_>) -> bool {
    let rt = request.rt;
    let names = |field: &str| rule[field].as_array().map_or(&[][..], Vec::as_slice);
    let has = |field: &str, wanted: &str| names(field).iter().any(|n| n == wanted || n == "*");
    let resource = |pattern: &Value| {
        let pattern = pattern.as_str().unwrap_or_default();
        let (main, sub) = match pattern.split_once('/') {
            Some((main, sub)) => (main, Some(sub)),
            None => (pattern, None),
        };
        let same_sub = match (sub, request.subresource) {
            (None, None) => true,
            (Some("*"), _) => true,
            (Some(wanted), Some(found)) => wanted == found,
            _ => false,
        };
        (main == "*" || main == rt.plural) && same_sub
    };
    let scope = match rule["scope"].as_str() {
        Some("Namespaced") => rt.namespaced,
        Some("Cluster") => !rt.namespaced,
        _ => true,
    };
    has("apiGroups", &rt.group)
        && has("apiVersions", &rt.version)
        && has("operations", request.operation.as_str())
        && names("resources").iter().any(resource)
        && scope
        && (names("resourceNames").is_empty()
            || names("resourceNames").iter().any(|name| name == request.name))
}

fn evaluate(policy: &Value, binding: &Value, request: &Request<'_>) -> Result<(), ApiError> {
    let validations = policy["spec"]["validations"].as_array().map_or(&[][..], Vec::as_slice);
    let context = cel::context(request);
    for validation in validations {
        let Err(said) = validate(validation, &context) else {
            continue;
        };
        let text = |object: &Value| object["metadata"]["name"].as_str().unwrap_or("").to_owned();
        let message = format!(
            "ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {said}",
            text(policy),
            text(binding)
        );
        let reason = validation["reason"].as_str().unwrap_or_default();
        return Err(ApiError::denied(request.rt, request.name, reason, message));
    }
    Ok(())
}

fn text<'a>(validation: &'a Value, field: &str) -> &'a str {
    validation[field].as_str().unwrap_or_default().trim()
}

/// Err is what to tell whoever asks. Whatever is not plainly true refuses.
fn validate(validation: &Value, context: &cel::Context<'_>) -> Result<(), String> {
    let expression = text(validation, "expression");
    match cel::evaluate(expression, context) {
        Ok(cel::Answer::Bool(true)) => return Ok(()),
        Ok(cel::Answer::Bool(false)) => {}
        Ok(_) => return Err(format!("expression '{expression}' resulted in no boolean")),
        Err(why) => return Err(format!("expression '{expression}' resulted in error: {why}")),
    }
    // As upstream: a message that cannot be made falls back to the fixed one.
    let made = match text(validation, "messageExpression") {
        "" => None,
        source => cel::evaluate(source, context).ok(),
    };
    Err(match (made, text(validation, "message")) {
        (Some(cel::Answer::Text(made)), _) if !made.trim().is_empty() => made,
        (_, "") => format!("failed expression: {expression}"),
        (_, fixed) => fixed.to_owned(),
    })
}

/// What a policy gets that leaves things out.
pub(crate) fn default_policy(policy: &mut Value) {
    let Some(spec) = policy.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    fill(spec, "failurePolicy", json!("Fail"));
    if let Some(constraints) = spec.get_mut("matchConstraints") {
        default_match(constraints);
    }
}

/// What a binding gets that leaves things out.
pub(crate) fn default_binding(binding: &mut Value) {
    if let Some(resources) = binding.pointer_mut("/spec/matchResources") {
        default_match(resources);
    }
}

fn default_match(resources: &mut Value) {
    if !resources.is_object() {
        return;
    }
    fill(resources, "matchPolicy", json!("Equivalent"));
    fill(resources, "namespaceSelector", json!({}));
    fill(resources, "objectSelector", json!({}));
    let rules = resources.get_mut("resourceRules").and_then(Value::as_array_mut);
    rules
        .into_iter()
        .flatten()
        .filter(|r| r.is_object())
        .for_each(|r| fill(r, "scope", json!("*")));
}

fn fill(object: &mut Value, key: &str, value: Value) {
    if object[key].is_null() {
        object[key] = value;
    }
}

/// What is wrong with a policy, or beyond what this server evaluates.
pub(crate) fn check_policy(policy: &Value) -> Vec<Cause> {
    let spec = &policy["spec"];
    let mut causes = Vec::new();
    for field in ["paramKind", "variables", "matchConditions", "auditAnnotations"] {
        let value = &spec[field];
        if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
            causes.push(not_here(format!("spec.{field}")));
        }
    }
    if spec["failurePolicy"] != "Fail" {
        causes.push(not_here("spec.failurePolicy".to_owned()));
    }
    if spec["matchConstraints"]["resourceRules"].as_array().is_none_or(Vec::is_empty) {
        causes.push(Cause::required("spec.matchConstraints.resourceRules", ""));
    }
    causes.extend(check_match("spec.matchConstraints", &spec["matchConstraints"]));
    let validations = spec["validations"].as_array().map_or(&[][..], Vec::as_slice);
    if validations.is_empty() {
        causes.push(Cause::required("spec.validations", ""));
    }
    for (index, validation) in validations.iter().enumerate() {
        causes.extend(check_validation(&format!("spec.validations[{index}]"), validation));
    }
    causes
}

/// What is wrong with a binding, or beyond what this server evaluates.
pub(crate) fn check_binding(binding: &Value) -> Vec<Cause> {
    let spec = &binding["spec"];
    let mut causes = Vec::new();
    if spec["policyName"].as_str().unwrap_or_default().is_empty() {
        causes.push(Cause::required("spec.policyName", ""));
    }
    if !spec["paramRef"].is_null() {
        causes.push(not_here("spec.paramRef".to_owned()));
    }
    let actions = spec["validationActions"].as_array().map_or(&[][..], Vec::as_slice);
    if actions.is_empty() {
        causes.push(Cause::required("spec.validationActions", ""));
    }
    for (index, action) in actions.iter().enumerate().filter(|(_, action)| *action != "Deny") {
        let supported = ["\"Deny\"".to_owned()];
        causes.push(Cause::not_supported(
            format!("spec.validationActions[{index}]"),
            action,
            &supported,
        ));
    }
    causes.extend(check_match("spec.matchResources", &spec["matchResources"]));
    causes
}

fn check_match(at: &str, resources: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if resources["excludeResourceRules"].as_array().is_some_and(|rules| !rules.is_empty()) {
        causes.push(not_here(format!("{at}.excludeResourceRules")));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        if let Err(error) = LabelSelector::from_object(&resources[field]) {
            causes.push(Cause::invalid_without_value(format!("{at}.{field}"), &error.to_string()));
        }
    }
    causes
}

fn check_validation(at: &str, validation: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if text(validation, "expression").is_empty() {
        causes.push(Cause::required(format!("{at}.expression"), "expression is not specified"));
        return causes;
    }
    let reason = &validation["reason"];
    if !reason.is_null() && !REASONS.iter().any(|known| reason == known) {
        let known = REASONS.map(|known| format!("\"{known}\""));
        causes.push(Cause::not_supported(format!("{at}.reason"), reason, &known));
    }
    for field in ["expression", "messageExpression"] {
        let source = text(validation, field);
        if source.contains("userInfo") || source.contains("authorizer") {
            causes.push(not_here(format!("{at}.{field}")));
        } else if !source.is_empty()
            && let Err(why) = cel::compile(source)
        {
            let why = format!("compilation failed: {why}");
            causes.push(Cause::invalid(format!("{at}.{field}"), &json!(source), &why));
        }
    }
    causes
}

fn not_here(field: String) -> Cause {
    let why = "this API server does not evaluate it; it refuses such a policy rather than store \
               one that is not applied";
    Cause::forbidden(field, why)
}

#[cfg(test)]
mod tests;
