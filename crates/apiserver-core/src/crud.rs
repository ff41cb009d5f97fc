//! What a write does to an object, each verb in one pure call: [`create`], [`update`], [`patch`],
//! [`delete`]. The caller reads the current object, calls one of these, and stores what comes out
//! if the object has not changed meanwhile.
//!
//! Left to the caller: resourceVersions (an admitted object carries its old one, or none), whether
//! the namespace exists and is not terminating, names already taken, dry runs (do not store), and
//! garbage collection. The propagation policies Orphan and Foreground put no finalizer on the
//! object, since nothing would ever take it off.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::document::Document;
use crate::negotiate::BodyKind;
use crate::patch::{json_patch, merge_patch};
use crate::request::{FieldValidation, Options, Propagation, propagation};
use crate::scheme::ResourceType;
use crate::status::{ApiError, Cause, CauseReason};
use crate::validate::{self, schema};

mod builtin;
mod metadata;

/// What every write needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The kind.
    pub rt: &'a ResourceType,
    /// The namespace in the path; None for cluster-scoped kinds.
    pub namespace: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
    /// The query options.
    pub options: &'a Options,
}

/// What a new object gets from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// `metadata.uid`.
    pub uid: String,
    /// Appended to `generateName`; five characters of `[a-z0-9]`.
    pub suffix: String,
}

/// Which part of the object a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The main path: all but `status`, where the kind has a status subresource.
    Main,
    /// `/status`: only `status`.
    Status,
    /// `/finalize` of namespaces: only `spec.finalizers`.
    Finalize,
}

/// An object ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The object, with the resourceVersion of the state it was made from, if any.
    pub object: Value,
    /// What the writer has to do.
    pub effect: Effect,
    /// Texts for `Warning: 299` headers.
    pub warnings: Vec<String>,
}

/// What the writer has to do with an admitted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Store it.
    Write,
    /// Nothing: it equals what is stored.
    Unchanged,
    /// Remove it: the last finalizer of a deleting object is gone. The object is the answer.
    Remove,
}

/// Makes a new object from a POST body. Its name is settled (see `generateName`); if it is taken,
/// the caller answers [`ApiError::already_exists`].
///
/// # Errors
/// 400 for bodies of another kind or unknown fields under `Strict`, 422 for invalid objects.
pub fn create(ctx: &Context<'_>, body: Document, birth: Birth) -> Result<Admitted, ApiError> {
    let mut object = identify(ctx, body.value)?;
    let mut warnings = screen(ctx, &mut object, body.duplicates)?;
    metadata::set_namespace(ctx, &mut object)?;
    let name = metadata::be_born(ctx, &mut object, birth)?;
    if ctx.rt.custom && ctx.rt.has_status {
        remove(&mut object, "status");
    }
    builtin::prepare_create(ctx.rt, &mut object);
    warnings.extend(admit(ctx, &name, &mut object, None)?);
    Ok(Admitted { object, effect: Effect::Write, warnings })
}

/// Makes the next state of `old` from a PUT body.
///
/// # Errors
/// 409 if the body's resourceVersion or uid is not that of `old`, else as [`create`].
pub fn update(
    ctx: &Context<'_>,
    name: &str,
    part: Part,
    old: &Value,
    body: Document,
) -> Result<Admitted, ApiError> {
    let mut object = identify(ctx, body.value)?;
    let warnings = screen(ctx, &mut object, body.duplicates)?;
    metadata::check_uid_precondition(ctx.rt, name, &object, old)?;
    metadata::check_version(ctx.rt, name, &object)?;
    replace(ctx, name, part, old, object, warnings)
}

/// Makes the next state of `old` from a PATCH body. Call again with the newer object if it lost a
/// race.
///
/// # Errors
/// 400 and 422 for patches that do not fit, else as [`update`].
pub fn patch(
    ctx: &Context<'_>,
    name: &str,
    part: Part,
    old: &Value,
    patch: (BodyKind, &Document),
) -> Result<Admitted, ApiError> {
    let (kind, document) = patch;
    let patched = match kind {
        BodyKind::JsonPatch => json_patch(old, &document.value)?,
        BodyKind::MergePatch | BodyKind::Json | BodyKind::Yaml => {
            if !document.value.is_object() {
                let found = if document.value.is_array() { "array" } else { "value" };
                return Err(ApiError::bad_request(format!(
                    "error decoding patch: json: cannot unmarshal {found} into Go value of type \
                     map[string]interface {{}}"
                )));
            }
            let mut target = old.clone();
            merge_patch(&mut target, &document.value);
            target
        }
    };
    let mut object = identify(ctx, patched)?;
    let warnings = screen(ctx, &mut object, document.duplicates.clone())?;
    replace(ctx, name, part, old, object, warnings)
}

fn replace(
    ctx: &Context<'_>,
    name: &str,
    part: Part,
    old: &Value,
    mut object: Value,
    mut warnings: Vec<String>,
) -> Result<Admitted, ApiError> {
    metadata::check_name(name, &object)?;
    metadata::set_namespace(ctx, &mut object)?;
    metadata::check_conflict(ctx.rt, name, &object, old)?;
    let mut object = match part {
        Part::Main => {
            metadata::inherit(&mut object, old);
            if ctx.rt.has_status {
                put(&mut object, "status", old.get("status"));
            }
            builtin::prepare_update(ctx.rt, &mut object, old);
            object
        }
        Part::Status => {
            let mut next = old.clone();
            put(&mut next, "status", object.get("status"));
            next
        }
        Part::Finalize => {
            let mut next = old.clone();
            put(&mut next["spec"], "finalizers", object.pointer("/spec/finalizers"));
            next
        }
    };
    warnings.extend(admit(ctx, name, &mut object, Some(old))?);
    if part == Part::Main {
        metadata::bump_generation(ctx.rt, &mut object, old);
    }
    let effect = effect(&object, old);
    Ok(Admitted { object, effect, warnings })
}

fn effect(object: &Value, old: &Value) -> Effect {
    if metadata::is_deleting(object) && !metadata::has_finalizers(object) {
        return Effect::Remove;
    }
    if object == old { Effect::Unchanged } else { Effect::Write }
}

/// The part of admission that all writes share: defaults, folding, and every check.
fn admit(
    ctx: &Context<'_>,
    name: &str,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<Vec<String>, ApiError> {
    let rt = ctx.rt;
    validate::apply_defaults(rt, object);
    let mut causes = metadata::validate(rt, object, old);
    let mut warnings = Vec::new();
    if rt.custom {
        let findings = validate::validate(rt, object, old);
        causes.extend(findings.causes);
        warnings = findings.warnings;
    } else {
        refuse_undecodable(rt, schema::check(rt, object))?;
        builtin::normalise(rt, object);
        causes.extend(builtin::validate(rt, object, old));
    }
    if causes.is_empty() { Ok(warnings) } else { Err(ApiError::invalid(rt, name, causes)) }
}

/// Built-in kinds are decoded into types upstream, so a wrong type is a 400 there. Whatever else
/// the published schema says (required fields, ranges) is not enforced through it.
fn refuse_undecodable(rt: &ResourceType, causes: Vec<Cause>) -> Result<(), ApiError> {
    let fatal = |cause: &&Cause| {
        cause.reason == CauseReason::TypeInvalid || cause.message.contains("must be of type")
    };
    match causes.iter().find(fatal) {
        Some(cause) => {
            Err(cannot_be_handled(rt, rt, &format!("{}: {}", cause.field, cause.message)))
        }
        None => Ok(()),
    }
}

fn cannot_be_handled(found: &ResourceType, wanted: &ResourceType, why: &str) -> ApiError {
    let (kind, version, wanted) = (&found.kind, &found.version, &wanted.kind);
    ApiError::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {wanted}: {why}"
    ))
}

/// Checks that the body is an object of the path's kind, and fills in what built-in kinds may
/// leave out.
fn identify(ctx: &Context<'_>, body: Value) -> Result<Value, ApiError> {
    let rt = ctx.rt;
    let body = if body.is_null() { json!({}) } else { body };
    let Value::Object(mut fields) = body else {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; \
             the body is no JSON object",
            rt.kind
        )));
    };
    let text = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; \
             {key} is no string",
            rt.kind
        ))),
    };
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    let name = fields.get("metadata").and_then(|metadata| metadata["name"].as_str());
    let name = name.unwrap_or_default().to_owned();
    for (key, found) in [("kind", &kind), ("apiVersion", &api_version)] {
        if rt.custom && found.is_empty() {
            return Err(ApiError::bad_request(format!("Object '{key}' is missing in the body")));
        }
    }
    if !kind.is_empty() && kind != rt.kind {
        if rt.custom {
            let cause = Cause::invalid("kind", &json!(kind), &format!("must be {}", rt.kind));
            return Err(ApiError::invalid_kind(&rt.group, &kind, &name, vec![cause]));
        }
        let version = api_version.rsplit('/').next().unwrap_or_default();
        return Err(ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {}: unknown conversion",
            rt.kind
        )));
    }
    if !api_version.is_empty() && api_version != rt.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version \
             ({})",
            rt.api_version()
        )));
    }
    fields.insert("apiVersion".into(), json!(rt.api_version()));
    fields.insert("kind".into(), json!(rt.kind));
    Ok(Value::Object(fields))
}

/// Removes what the schema does not know, tells or refuses as `fieldValidation` says, and brings
/// `metadata` into shape.
fn screen(
    ctx: &Context<'_>,
    object: &mut Value,
    duplicates: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    let unknown = validate::prune(ctx.rt, object);
    metadata::tidy(ctx.rt, object)?;
    let duplicates = duplicates.into_iter().map(|path| format!("duplicate field \"{path}\""));
    let unknown = unknown.into_iter().map(|path| format!("unknown field \"{path}\""));
    let found: Vec<String> = duplicates.chain(unknown).collect();
    match ctx.options.field_validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(found),
        FieldValidation::Strict if found.is_empty() => Ok(found),
        FieldValidation::Strict => {
            let why = format!("strict decoding error: {}", found.join(", "));
            Err(cannot_be_handled(ctx.rt, ctx.rt, &why))
        }
    }
}

fn remove(object: &mut Value, key: &str) {
    if let Value::Object(fields) = object {
        fields.remove(key);
    }
}

/// Sets the field to the value, or removes it.
fn put(object: &mut Value, key: &str, value: Option<&Value>) {
    match value {
        Some(value) => object[key] = value.clone(),
        None => remove(object, key),
    }
}

/// The options of a delete, from body and query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// What happens to owned objects.
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
    if !metadata::has_finalizers(old) {
        return Ok(Deletion::Remove);
    }
    if metadata::is_deleting(old) {
        return Ok(Deletion::Unchanged);
    }
    let mut marked = old.clone();
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

/// Whether a delete of this kind answers the object rather than a Status.
#[must_use]
pub fn answers_object(rt: &ResourceType) -> bool {
    rt.is("", "namespaces") || rt.is("", "pods")
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

#[cfg(test)]
mod tests;
