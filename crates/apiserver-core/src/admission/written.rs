//! Policies and bindings as they are written: what is filled in, and which are refused.

use serde_json::{Value, json};

use super::{cel, text};
use crate::selector::LabelSelector;
use crate::status::Cause;

const REASONS: [&str; 4] = ["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"];
const ACTIONS: [&str; 3] = ["Deny", "Warn", "Audit"];

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
    let param = &spec["paramKind"];
    for field in ["apiVersion", "kind"].iter().filter(|_| !param.is_null()) {
        if text(param, field).is_empty() {
            causes.push(Cause::required(format!("spec.paramKind.{field}"), ""));
        }
    }
    let failure = &spec["failurePolicy"];
    if failure != "Fail" && failure != "Ignore" {
        causes.push(not_supported("spec.failurePolicy", failure, &["Fail", "Ignore"]));
    }
    if spec["matchConstraints"]["resourceRules"].as_array().is_none_or(Vec::is_empty) {
        causes.push(Cause::required("spec.matchConstraints.resourceRules", ""));
    }
    causes.extend(check_match("spec.matchConstraints", &spec["matchConstraints"]));
    let list =
        |field: &str| spec[field].as_array().map_or(&[][..], Vec::as_slice).iter().enumerate();
    if list("validations").len() == 0 && list("auditAnnotations").len() == 0 {
        causes.push(Cause::required("spec.validations", ""));
    }
    for (index, variable) in list("variables") {
        let at = format!("spec.variables[{index}]");
        if !is_identifier(text(variable, "name")) {
            let why = "name is not a valid CEL identifier";
            causes.push(Cause::invalid(format!("{at}.name"), &variable["name"], why));
        }
        causes.extend(check_expression(&at, variable, "expression"));
    }
    for (index, condition) in list("matchConditions") {
        let at = format!("spec.matchConditions[{index}]");
        if text(condition, "name").is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        }
        causes.extend(check_expression(&at, condition, "expression"));
    }
    for (index, annotation) in list("auditAnnotations") {
        let at = format!("spec.auditAnnotations[{index}]");
        if text(annotation, "key").is_empty() {
            causes.push(Cause::required(format!("{at}.key"), ""));
        }
        causes.extend(check_expression(&at, annotation, "valueExpression"));
    }
    for (index, validation) in list("validations") {
        causes.extend(check_validation(&format!("spec.validations[{index}]"), validation));
    }
    causes
}

fn is_identifier(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn not_supported(field: &str, value: &Value, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
    Cause::not_supported(field, value, &known)
}

/// What is wrong with a binding, or beyond what this server evaluates.
pub(crate) fn check_binding(binding: &Value) -> Vec<Cause> {
    let spec = &binding["spec"];
    let mut causes = Vec::new();
    if spec["policyName"].as_str().unwrap_or_default().is_empty() {
        causes.push(Cause::required("spec.policyName", ""));
    }
    let reference = &spec["paramRef"];
    if !reference.is_null() {
        let named = !text(reference, "name").is_empty();
        if named != reference["selector"].is_null() {
            let why = "exactly one of name or selector must be specified";
            causes.push(Cause::invalid_without_value("spec.paramRef", why));
        }
        let action = &reference["parameterNotFoundAction"];
        let field = "spec.paramRef.parameterNotFoundAction";
        match action.as_str().unwrap_or_default() {
            "Allow" | "Deny" => {}
            "" => causes.push(Cause::required(field, "")),
            _ => causes.push(not_supported(field, action, &["Allow", "Deny"])),
        }
    }
    let actions = spec["validationActions"].as_array().map_or(&[][..], Vec::as_slice);
    if actions.is_empty() {
        causes.push(Cause::required("spec.validationActions", ""));
    }
    for (index, action) in actions.iter().enumerate() {
        let field = format!("spec.validationActions[{index}]");
        if !ACTIONS.iter().any(|known| action == known) {
            causes.push(not_supported(&field, action, &ACTIONS));
        } else if actions[..index].contains(action) {
            causes.push(Cause::duplicate(field, action));
        }
    }
    if ["Deny", "Warn"].iter().all(|action| actions.iter().any(|known| known == action)) {
        let why = "must not contain both Deny and Warn (repeating the same validation failure \
                   information in the API response and headers serves no purpose)";
        causes.push(Cause::invalid("spec.validationActions", &json!(actions), why));
    }
    causes.extend(check_match("spec.matchResources", &spec["matchResources"]));
    causes
}

fn check_match(at: &str, resources: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
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
        causes.push(not_supported(&format!("{at}.reason"), reason, &REASONS));
    }
    causes.extend(check_expression(at, validation, "expression"));
    if !text(validation, "messageExpression").is_empty() {
        causes.extend(check_expression(at, validation, "messageExpression"));
    }
    causes
}

fn check_expression(at: &str, holder: &Value, field: &str) -> Option<Cause> {
    let source = text(holder, field);
    let place = format!("{at}.{field}");
    if source.is_empty() {
        return Some(Cause::required(place, "expression is not specified"));
    }
    if source.contains("userInfo") || source.contains("authorizer") {
        return Some(not_here(place));
    }
    let why = cel::compile(source).err()?;
    Some(Cause::invalid(place, &json!(source), &format!("compilation failed: {why}")))
}

fn not_here(field: String) -> Cause {
    let why = "this API server does not evaluate it; it refuses such a policy rather than store \
               one that is not applied";
    Cause::forbidden(field, why)
}
