//! What an object must look like: pruning and defaulting by schema, structural checks, CEL rules.
//!
//! Everything fails closed: what cannot be checked is refused. Texts follow kube-apiserver 1.36,
//! the order of causes is by field (there it is random).

use serde_json::Value;

use crate::scheme::ResourceType;
use crate::status::Cause;

pub(crate) mod cel;
mod formats;
mod ratchet;
mod scale;
pub(crate) mod schema;
pub(crate) mod shape;

pub(crate) use shape::is_text_map;

pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Removes fields the schema does not know. Answers their paths, as `spec.nodePolls`.
pub fn prune(rt: &ResourceType, object: &mut Value) -> Vec<String> {
    shape::prune(rt, object)
}

/// Fills in the schema's defaults, after dropping nulls that the schema does not allow.
pub fn apply_defaults(rt: &ResourceType, object: &mut Value) {
    shape::apply_defaults(rt, object);
}

/// Checks an object of a custom kind against its schema and its rules. With `old`, what was
/// invalid already and did not change is let pass (broken rules then become warnings).
#[must_use]
pub fn validate(rt: &ResourceType, object: &Value, old: Option<&Value>) -> Findings {
    validate_part(rt, object, old, false)
}

/// As [`validate`]; a write of the status alone is judged by its status, and by the rules.
pub(crate) fn validate_part(
    rt: &ResourceType,
    object: &Value,
    old: Option<&Value>,
    status_only: bool,
) -> Findings {
    let violations = if status_only {
        schema::check_status(rt, object, old)
    } else {
        schema::check(rt, object, old)
    };
    let mut findings = Findings { causes: violations.causes, warnings: Vec::new() };
    findings.causes.extend(scale::check(rt, object, status_only));
    findings.causes.extend(violations.duplicates);
    if rt.rules().cel.is_none() {
        return findings;
    }
    if findings.causes.iter().any(schema::blocks_rules) {
        let text = "some validation rules were not checked because the object was invalid; \
                    correct the existing errors to complete validation";
        findings.causes.push(Cause::invalid(schema::NOWHERE, &Value::Null, text));
    } else {
        cel::check(rt, object, old, &mut findings);
    }
    findings
}

/// All violations of a schema that stands for itself, by paths below it. A schema that cannot be
/// compiled has been refused for that.
pub(crate) fn check_alone(schema: &Value, value: &Value) -> Vec<Cause> {
    schema::check_alone(schema, value)
}

/// Whether the value has fields that its schema does not know.
pub(crate) fn would_prune(schema: &Value, value: &Value) -> bool {
    !shape::prune_alone(schema, &mut value.clone()).is_empty()
}

/// What a validation found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// Reasons to refuse the object.
    pub causes: Vec<Cause>,
    /// Texts for the client, if it is not refused.
    pub warnings: Vec<String>,
}

/// Reads a field path as `spec.pools[0].name`. Keys that hold dots or brackets are not found.
pub(crate) fn lookup<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let steps = path.split(['.', '[']).filter(|step| !step.is_empty());
    steps.into_iter().try_fold(root, |at, step| match step.strip_suffix(']') {
        Some(index) => match index.parse::<usize>() {
            Ok(index) => at.get(index),
            Err(_) => at.get(index),
        },
        None => at.get(step),
    })
}

#[cfg(test)]
mod tests;
