//! Tolerating what was invalid before and did not change (Kubernetes' "ratcheting"), so that a
//! stricter schema does not lock objects in: their labels and finalizers can still be edited.
//!
//! Narrower than upstream on purpose: below lists only an unchanged whole list counts.

use serde_json::Value;

use super::lookup;
use crate::status::{Cause, CauseReason};

/// Whether the value a cause is about is the same in both objects.
pub(super) fn is_unchanged(cause: &Cause, old: &Value, new: &Value) -> bool {
    let path = cause.field.split('[').next().unwrap_or_default();
    // A missing field is judged by the object it is missing from.
    let path = match (cause.reason, path.rsplit_once('.')) {
        (CauseReason::Required, Some((parent, _))) if path == cause.field => parent,
        (CauseReason::Required, None) => return false,
        _ => path,
    };
    same(path, old, new)
}

fn same(path: &str, old: &Value, new: &Value) -> bool {
    if path.is_empty() || path.starts_with('<') {
        return false;
    }
    matches!((lookup(old, path), lookup(new, path)), (Some(old), Some(new)) if old == new)
}

/// Whether a rule that failed at `field` can only have seen values that did not change. Rules of
/// the root see everything; transition rules are never let pass.
pub(super) fn rule_saw_no_change(
    [rule, field]: [&str; 2],
    root: &Value,
    old: &Value,
    new: &Value,
) -> bool {
    if rule.contains("oldSelf") {
        return false;
    }
    let own = root.get("x-kubernetes-validations").and_then(Value::as_array);
    let at_root = own.into_iter().flatten().any(|own| own["rule"] == rule);
    if at_root || field.is_empty() {
        let body = |object: &Value| {
            let mut object = object.clone();
            if let Value::Object(fields) = &mut object {
                fields.remove("metadata");
            }
            object
        };
        return body(old) == body(new);
    }
    same(field.split(['.', '[']).next().unwrap_or_default(), old, new)
}
