//! What a delete means: the options it comes with, and whether the object goes, is marked, or stays.

use serde_json::{Value, json};

use super::{Admitted, Context, effect, metadata, put};
use crate::crd;
use crate::request::{Options, Propagation, propagation};
use crate::scheme::ResourceType;
use crate::status::{ApiError, Cause};

/// The options of a delete, from body and query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// What happens to owned objects. `orphanDependents`, the older way to say it, is folded in.
    pub propagation_policy: Option<Propagation>,
    /// How long the object may take; nothing here takes any time.
    pub grace_period_seconds: Option<i64>,
    /// Only if the object has this uid.
    pub uid: Option<String>,
    /// Only if the object has this resourceVersion.
    pub resource_version: Option<String>,
    /// Nothing is stored.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Reads the body (a `DeleteOptions` object, kind optional), else the query.
    ///
    /// # Errors
    /// 400 if the body is no object, 422 for an unknown policy.
    pub fn parse(body: Option<&Value>, options: &Options) -> Result<Self, ApiError> {
        let from_query = Self {
            propagation_policy: options.propagation_policy,
            grace_period_seconds: options.grace_period_seconds,
            dry_run: options.dry_run,
            ..Self::default()
        };
        let body = match body {
            None | Some(Value::Null) => return Ok(from_query),
            Some(Value::Object(body)) => body,
            Some(_) => return Err(ApiError::bad_request("DeleteOptions must be an object")),
        };
        let kind = body.get("kind").and_then(Value::as_str).unwrap_or("DeleteOptions");
        if kind != "DeleteOptions" {
            let message = format!("the body of a delete is DeleteOptions, not {kind}");
            return Err(ApiError::bad_request(message));
        }
        let precondition = |key: &str| {
            let value = body.get("preconditions").and_then(|all| all.get(key));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let policy = body.get("propagationPolicy").and_then(Value::as_str).map(str::to_owned);
        let policy = propagation(policy)
            .map_err(|cause| ApiError::invalid_options("DeleteOptions", vec![cause]))?;
        let policy = match body.get("orphanDependents").and_then(Value::as_bool) {
            Some(_) if policy.is_some() => {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                let cause = Cause::invalid_without_value("propagationPolicy", why);
                return Err(ApiError::invalid_options("DeleteOptions", vec![cause]));
            }
            Some(true) => Some(Propagation::Orphan),
            Some(false) => Some(Propagation::Background),
            None => policy,
        };
        let dry_run = body.get("dryRun").and_then(Value::as_array).is_some_and(|d| !d.is_empty());
        let grace = body.get("gracePeriodSeconds").and_then(Value::as_i64);
        Ok(Self {
            propagation_policy: policy.or(from_query.propagation_policy),
            grace_period_seconds: grace.or(from_query.grace_period_seconds),
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            dry_run: dry_run || from_query.dry_run,
        })
    }
}

/// What a delete does.
#[derive(Debug, Clone, PartialEq)]
pub enum Deletion {
    /// Remove it now. The answer is a Success Status, or the object (see [`answers_object`]).
    Remove,
    /// Store this and answer it: finalizers hold the object.
    Mark(Value),
    /// It is being deleted already: answer what is stored.
    Unchanged,
}

/// Decides what deleting `old` means.
///
/// # Errors
/// 409 if a precondition does not hold, 403 for the namespaces every cluster needs.
pub fn delete(
    ctx: &Context<'_>,
    old: &Value,
    options: &DeleteOptions,
) -> Result<Deletion, ApiError> {
    metadata::check_preconditions(ctx.rt, old, options)?;
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = ctx.rt.is("", "namespaces");
    if namespace && ["default", "kube-system", "kube-public"].contains(&name) {
        let why = "this namespace may not be deleted";
        return Err(ApiError::forbidden(ctx.rt, name, why));
    }
    if ctx.rt.is(crd::GROUP, crd::PLURAL) && !metadata::is_deleting(old) {
        return Ok(Deletion::Mark(crd::marked_deleting(old, ctx.now)));
    }
    let (finalizers, changed) = finalizers_for(old, options.propagation_policy);
    let spec = namespace && old["spec"]["finalizers"].as_array().is_some_and(|l| !l.is_empty());
    if finalizers.is_empty() && !spec {
        return Ok(Deletion::Remove);
    }
    if metadata::is_deleting(old) {
        if !changed {
            return Ok(Deletion::Unchanged);
        }
        let mut marked = old.clone();
        put(&mut marked["metadata"], "finalizers", some_list(finalizers).as_ref());
        return Ok(Deletion::Mark(marked));
    }
    let mut marked = old.clone();
    put(&mut marked["metadata"], "finalizers", some_list(finalizers).as_ref());
    marked["metadata"]["deletionTimestamp"] = json!(metadata::timestamp(ctx.now));
    if namespace {
        marked["status"]["phase"] = json!("Terminating");
    } else {
        marked["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    }
    if let Some(generation) = old["metadata"]["generation"].as_i64() {
        marked["metadata"]["generation"] = json!(generation + 1);
    }
    Ok(Deletion::Mark(marked))
}

/// The finalizer that the garbage collector takes off once no dependent blocks any more.
pub const FOREGROUND_FINALIZER: &str = "foregroundDeletion";
/// The finalizer that the garbage collector takes off once the dependents name other owners.
pub const ORPHAN_FINALIZER: &str = "orphan";

/// The finalizers a deletion leaves, and whether they differ from those there are. Without a
/// policy what an earlier deletion asked for goes on.
fn finalizers_for(old: &Value, policy: Option<Propagation>) -> (Vec<Value>, bool) {
    let before = old["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let Some(policy) = policy else { return (before, false) };
    let ours = |name: &Value| name == ORPHAN_FINALIZER || name == FOREGROUND_FINALIZER;
    let wanted = match policy {
        Propagation::Orphan => Some(ORPHAN_FINALIZER),
        Propagation::Foreground => Some(FOREGROUND_FINALIZER),
        Propagation::Background => None,
    };
    if before.iter().filter(|name| ours(name)).eq(wanted) {
        return (before, false);
    }
    let mut after: Vec<Value> = before.iter().filter(|name| !ours(name)).cloned().collect();
    after.extend(wanted.map(|name| json!(name)));
    (after, true)
}

fn some_list(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

/// Whether a delete of this kind answers the object rather than a Status.
#[must_use]
pub fn answers_object(rt: &ResourceType) -> bool {
    const CORE: [&str; 8] = [
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ];
    rt.group.is_empty() && CORE.contains(&rt.plural.as_str())
}

/// The step that ends a namespace's deletion, once its contents are gone: takes `kubernetes` off
/// `spec.finalizers`.
#[must_use]
pub fn finalize_namespace(old: &Value) -> Admitted {
    let mut object = old.clone();
    if let Some(Value::Array(finalizers)) = object.pointer_mut("/spec/finalizers") {
        finalizers.retain(|finalizer| finalizer != "kubernetes");
    }
    let effect = effect(&object, old);
    Admitted { object, effect, warnings: Vec::new() }
}
