//! What an object must look like: pruning and defaulting by schema, structural checks, CEL rules.
//!
//! Everything fails closed: what cannot be checked is refused. Texts follow kube-apiserver 1.36,
//! the order of causes is by field (there it is random).

use serde_json::Value;

use crate::scheme::ResourceType;
use crate::status::Cause;

pub(crate) mod cel;
pub(crate) mod ratchet;
pub(crate) mod schema;
pub(crate) mod shape;

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
    let mut findings = Findings { causes: schema::check(rt, object), warnings: Vec::new() };
    if let Some(old) = old {
        findings.causes.retain(|cause| !ratchet::is_unchanged(cause, old, object));
    }
    if rt.rules().cel.is_none() {
        return findings;
    }
    if findings.causes.iter().any(schema::blocks_rules) {
        let text = "some validation rules were not checked because the object was invalid; \
                    correct the existing errors to complete validation";
        findings.causes.push(Cause::invalid("<nil>", &Value::Null, text));
    } else {
        cel::check(rt, object, old, &mut findings);
    }
    findings
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
