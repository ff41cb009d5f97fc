//! Admission: what is refused although it is valid. ValidatingAdmissionPolicies, here; Pod Security
//! in [`pod_security`].
//!
//! Of `admissionregistration.k8s.io/v1` policies everything is evaluated but what needs to know who
//! asks (`request.userInfo`, `authorizer`): a policy that needs that is refused when it is written,
//! since a policy that is stored but not applied would be a false promise. There is no audit log,
//! so the action Audit and audit annotations come to nothing. Texts follow kube-apiserver 1.36.

use serde_json::Value;

use crate::scheme::ResourceType;
use crate::selector::LabelSelector;
use crate::status::ApiError;

mod cel;
pub mod pod_security;
mod written;

pub(crate) use written::{check_binding, check_policy, default_binding, default_policy};

const GROUP: &str = "admissionregistration.k8s.io";

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

/// Where the objects are that policies take their parameters from.
pub trait Params {
    /// All objects of a kind, in one namespace or (for None) in none.
    fn of_kind(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Vec<Value>;
}

/// Asks every policy that a binding puts into force. The first refusal in order of the bindings
/// is the answer; else there may be warnings.
///
/// # Errors
/// What the policy says: 422 unless its validation names another reason.
pub fn admit(
    policies: &[&Value],
    bindings: &[&Value],
    request: &Request<'_>,
    params: &dyn Params,
) -> Result<Vec<String>, ApiError> {
    admit_equivalents(policies, bindings, &[*request], params)
}

/// As [`admit`], for a kind of several versions: behind the request as it was made stands what it
/// would have been in each other version. A policy whose `matchPolicy` is Equivalent judges the
/// first that its rules fit, so that no other version leads around it.
///
/// # Errors
/// As [`admit`].
pub fn admit_equivalents(
    policies: &[&Value],
    bindings: &[&Value],
    requests: &[Request<'_>],
    params: &dyn Params,
) -> Result<Vec<String>, ApiError> {
    let mut warnings = Vec::new();
    // Upstream too keeps policies from locking their own kinds.
    if requests.iter().any(|request| request.rt.group == GROUP) {
        return Ok(warnings);
    }
    for binding in bindings {
        let name = &binding["spec"]["policyName"];
        let Some(policy) = policies.iter().find(|policy| policy["metadata"]["name"] == *name)
        else {
            continue;
        };
        let everywhere = binding["spec"]["matchResources"].is_null();
        let judged = fitting(&policy["spec"]["matchConstraints"], true, requests);
        if let Some(request) = judged
            && (everywhere
                || fitting(&binding["spec"]["matchResources"], false, requests).is_some())
        {
            let pair = Pair { policy, binding, request };
            warnings.extend(pair.evaluate(params)?);
        }
    }
    Ok(warnings)
}

/// The request that the resources match: only as it was made where they say so.
fn fitting<'a>(
    resources: &Value,
    strict: bool,
    requests: &'a [Request<'a>],
) -> Option<&'a Request<'a>> {
    let exact = resources["matchPolicy"] == "Exact";
    let usable = if exact { 1 } else { requests.len() };
    requests.iter().take(usable).find(|request| matches(resources, strict, request))
}

/// `strict`: without rules nothing matches (a policy); else everything does (a binding).
fn matches(resources: &Value, strict: bool, request: &Request<'_>) -> bool {
    let rules = resources["resourceRules"].as_array().map_or(&[][..], Vec::as_slice);
    let ruled = if rules.is_empty() { !strict } else { rules.iter().any(|r| fits(r, request)) };
    let excluded = resources["excludeResourceRules"].as_array().into_iter().flatten();
    let ruled = ruled && !excluded.into_iter().any(|rule| fits(rule, request));
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

/// A policy, what puts it into force, and what it is asked about.
struct Pair<'a> {
    policy: &'a Value,
    binding: &'a Value,
    request: &'a Request<'a>,
}

impl Pair<'_> {
    fn evaluate(&self, params: &dyn Params) -> Result<Vec<String>, ApiError> {
        let spec = &self.policy["spec"];
        let list = |field: &str| spec[field].as_array().map_or(&[][..], Vec::as_slice);
        let strict = spec["failurePolicy"] != "Ignore";
        let mut warnings = Vec::new();
        for param in self.params(params)? {
            let mut context = cel::context(self.request, &param);
            match self.conditions_hold(&context) {
                Ok(true) => {}
                Err(why) if strict => return Err(self.denied("", &why)),
                Ok(false) | Err(_) => continue,
            }
            let failed = cel::add_variables(&mut context, list("variables"));
            for validation in list("validations") {
                let said = match validate(validation, &context, &failed) {
                    Ok(()) => continue,
                    Err(Refusal::Failed(_)) if !strict => continue,
                    Err(Refusal::Failed(said) | Refusal::Refused(said)) => said,
                };
                if self.acts("Deny") {
                    return Err(self.denied(text(validation, "reason"), &said));
                }
                if self.acts("Warn") {
                    let [policy, binding] = self.names();
                    warnings.push(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding \
                         '{binding}': {said}"
                    ));
                }
            }
        }
        Ok(warnings)
    }

    fn names(&self) -> [&str; 2] {
        [self.policy, self.binding].map(|object| object["metadata"]["name"].as_str().unwrap_or(""))
    }

    fn acts(&self, action: &str) -> bool {
        let actions = self.binding["spec"]["validationActions"].as_array();
        actions.is_some_and(|actions| actions.iter().any(|known| known == action))
    }

    fn denied(&self, reason: &str, said: &str) -> ApiError {
        let [policy, binding] = self.names();
        let message = format!(
            "ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {said}"
        );
        ApiError::denied(self.request.rt, self.request.name, reason, message)
    }

    /// What `params` is, once for each evaluation: null for policies without parameters.
    fn params(&self, params: &dyn Params) -> Result<Vec<Value>, ApiError> {
        let kind = &self.policy["spec"]["paramKind"];
        let reference = &self.binding["spec"]["paramRef"];
        if kind.is_null() || reference.is_null() {
            return Ok(vec![Value::Null]);
        }
        let own = self.request.namespace.and_then(|n| n["metadata"]["name"].as_str());
        let namespace = reference["namespace"].as_str().filter(|name| !name.is_empty()).or(own);
        let mut found = params.of_kind(text(kind, "apiVersion"), text(kind, "kind"), namespace);
        match reference["name"].as_str().filter(|name| !name.is_empty()) {
            Some(name) => found.retain(|object| object["metadata"]["name"] == name),
            None => {
                let selector = LabelSelector::from_object(&reference["selector"]);
                found.retain(|object| selector.as_ref().is_ok_and(|s| s.matches(object)));
            }
        }
        if found.is_empty() && reference["parameterNotFoundAction"] != "Allow" {
            let why = "failed to configure binding: no params found for policy binding with `Deny` \
                       parameterNotFoundAction";
            return Err(self.denied("", why));
        }
        Ok(found)
    }

    /// Err says which condition could not be evaluated.
    fn conditions_hold(&self, context: &cel::Context<'_>) -> Result<bool, String> {
        let conditions = self.policy["spec"]["matchConditions"].as_array();
        for condition in conditions.into_iter().flatten() {
            match cel::evaluate(text(condition, "expression"), context) {
                Ok(cel::Answer::Bool(true)) => {}
                Ok(_) => return Ok(false),
                Err(why) => {
                    let expression = text(condition, "expression");
                    return Err(format!("expression '{expression}' resulted in error: {why}"));
                }
            }
        }
        Ok(true)
    }
}

/// Why a validation did not pass, in words for whoever asks.
enum Refusal {
    /// It is not true.
    Refused(String),
    /// It could not be evaluated.
    Failed(String),
}

fn text<'a>(validation: &'a Value, field: &str) -> &'a str {
    validation[field].as_str().unwrap_or_default().trim()
}

/// Whatever is not plainly true refuses. `failed` are the variables that have no value.
fn validate(
    validation: &Value,
    context: &cel::Context<'_>,
    failed: &cel::Failed,
) -> Result<(), Refusal> {
    let expression = text(validation, "expression");
    let failure =
        |why: &str| Refusal::Failed(format!("expression '{expression}' resulted in error: {why}"));
    if let Some(why) = cel::failure_in(expression, failed) {
        return Err(failure(why));
    }
    match cel::evaluate(expression, context) {
        Ok(cel::Answer::Bool(true)) => return Ok(()),
        Ok(cel::Answer::Bool(false)) => {}
        Ok(_) => {
            let text = format!("expression '{expression}' resulted in no boolean");
            return Err(Refusal::Failed(text));
        }
        Err(why) => return Err(failure(&why)),
    }
    // As upstream: a message that cannot be made falls back to the fixed one.
    let made = match text(validation, "messageExpression") {
        "" => None,
        source => cel::evaluate(source, context).ok(),
    };
    Err(Refusal::Refused(match (made, text(validation, "message")) {
        (Some(cel::Answer::Text(made)), _) if !made.trim().is_empty() => made,
        (_, "") => format!("failed expression: {expression}"),
        (_, fixed) => fixed.to_owned(),
    }))
}

#[cfg(test)]
mod tests;
