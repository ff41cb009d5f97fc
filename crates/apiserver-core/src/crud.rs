//! What a write does to an object, each verb in one pure call: [`create`], [`update`], [`patch`],
//! [`delete`]. The caller reads the current object, calls one of these, and stores what comes out
//! if the object has not changed meanwhile.
//!
//! Left to the caller: resourceVersions (an admitted object carries its old one, or none), whether
//! the namespace exists and is not terminating, names already taken, dry runs (do not store), and
//! garbage collection: a delete with the policy Orphan or Foreground puts upstream's finalizer on
//! the object, and somebody must take it off.

use fleetwright_apiserver_apply::Given;
use fleetwright_apiserver_kinds::schemas;
use fleetwright_apiserver_kinds::settle::settle;
use fleetwright_apiserver_kinds::strategic;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::document::Document;
use crate::negotiate::{BodyKind, PATCHES};
use crate::patch::{json_patch, merge_patch};
use crate::request::{FieldValidation, Options};
use crate::scheme::ResourceType;
use crate::status::{ApiError, Cause, CauseReason};
use crate::validate;

mod apply;
mod builtin;
mod delete;
mod metadata;
mod owners;
mod scale;

pub use apply::{apply, apply_new};
pub use builtin::{limits, services};
pub use delete::{
    DeleteOptions, Deletion, FOREGROUND_FINALIZER, ORPHAN_FINALIZER, answers_object, delete,
    finalize_namespace,
};
pub(crate) use owners::compile as ownership;
pub use scale::show as show_scale;

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
    /// `/scale`: only how many there shall be. Bodies are Scales.
    Scale,
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
    let allocated = owners::allocated(ctx.rt, &body.value);
    let mut object = identify(ctx, body.value)?;
    let given = Given::Sent(owners::take(&mut object));
    let warnings = screen(ctx, &mut object, body.duplicates)?;
    let mut admitted = bring_forth(ctx, object, birth, warnings)?;
    owners::record_create(ctx, &mut admitted.object, given, &allocated);
    Ok(admitted)
}

/// Makes a new object from a decoded one, but for its owners.
fn bring_forth(
    ctx: &Context<'_>,
    mut object: Value,
    birth: Birth,
    mut warnings: Vec<String>,
) -> Result<Admitted, ApiError> {
    metadata::set_namespace(ctx, &mut object)?;
    let name = metadata::be_born(ctx, &mut object, birth)?;
    if ctx.rt.custom && ctx.rt.has_status {
        remove(&mut object, "status");
    }
    builtin::prepare_create(ctx.rt, &mut object);
    warnings.extend(admit(ctx, Part::Main, &name, &mut object, None)?);
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
    if part == Part::Scale {
        return scale::update(ctx, name, old, &body);
    }
    let mut object = identify(ctx, body.value)?;
    let owners = Owners::Untold(Given::Sent(owners::take(&mut object)));
    let warnings = screen(ctx, &mut object, body.duplicates)?;
    metadata::check_uid_precondition(ctx.rt, name, &object, old)?;
    metadata::check_version(ctx.rt, name, &object)?;
    replace(ctx, name, part, old, Proposed { object, owners, warnings })
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
    if part == Part::Scale {
        return scale::patch(ctx, name, old, patch);
    }
    let patched = match kind {
        BodyKind::ApplyPatch => return apply(ctx, name, part, old, document),
        BodyKind::JsonPatch => json_patch(old, &document.value)?,
        BodyKind::StrategicMergePatch => {
            let Some(builtin) = ctx.rt.builtin else {
                return Err(ApiError::unsupported_media_type(PATCHES));
            };
            must_be_an_object(&document.value)?;
            strategic::apply(&builtin.definition(), old, &document.value)
                .map_err(ApiError::bad_request)?
        }
        // Bodies of other types are no patches, and `body_kind` refuses them before.
        BodyKind::MergePatch | BodyKind::Json | BodyKind::Yaml | BodyKind::Protobuf => {
            must_be_an_object(&document.value)?;
            let mut target = old.clone();
            merge_patch(&mut target, &document.value);
            target
        }
    };
    let mut object = identify(ctx, patched)?;
    let owners = Owners::Untold(match owners::take(&mut object) {
        Some(list) if kind != BodyKind::JsonPatch && !owners::are_in(&document.value) => {
            Given::Kept(Some(list))
        }
        sent => Given::Sent(sent),
    });
    let warnings = screen(ctx, &mut object, document.duplicates.clone())?;
    replace(ctx, name, part, old, Proposed { object, owners, warnings })
}

fn must_be_an_object(patch: &Value) -> Result<(), ApiError> {
    if patch.is_object() {
        return Ok(());
    }
    let found = if patch.is_array() { "array" } else { "value" };
    Err(ApiError::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {found} into Go value of type \
         map[string]interface {{}}"
    )))
}

/// What a write wants an object to become.
struct Proposed {
    object: Value,
    owners: Owners,
    warnings: Vec<String>,
}

/// The owners of a proposed object's fields.
enum Owners {
    /// An apply has told them.
    Told(Option<Value>),
    /// They are to be told when the object is whole.
    Untold(Given),
}

fn replace(
    ctx: &Context<'_>,
    name: &str,
    part: Part,
    old: &Value,
    proposed: Proposed,
) -> Result<Admitted, ApiError> {
    let Proposed { mut object, mut owners, mut warnings } = proposed;
    metadata::check_name(name, &object)?;
    metadata::set_namespace(ctx, &mut object)?;
    metadata::check_conflict(ctx.rt, name, &object, old)?;
    let allocated = match part {
        Part::Main => owners::allocated(ctx.rt, &object),
        _ => Vec::new(),
    };
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
            let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
            with_status(old, status)
        }
        Part::Scale => object,
        Part::Finalize => {
            let mut next = old.clone();
            put(&mut next["spec"], "finalizers", object.pointer("/spec/finalizers"));
            next
        }
    };
    let carried = owners::take(&mut object);
    if part != Part::Main && matches!(owners, Owners::Untold(Given::Sent(_))) {
        // Only the main path changes owners directly.
        let kept = carried.or_else(|| owners::of(old).cloned());
        owners = Owners::Untold(Given::Kept(kept));
    }
    warnings.extend(admit(ctx, part, name, &mut object, Some(old))?);
    if matches!(part, Part::Main | Part::Scale) {
        metadata::bump_generation(ctx.rt, &mut object, old);
    }
    match owners {
        Owners::Told(list) => owners::put_back(&mut object, list, old),
        Owners::Untold(given) => {
            owners::record(ctx, part, &mut object, (given, old), &allocated);
        }
    }
    let effect = effect(&object, old);
    Ok(Admitted { object, effect, warnings })
}

/// The object with another status, and without its owners.
fn with_status(old: &Value, status: Option<Value>) -> Value {
    let mut next = Map::new();
    for (key, value) in old.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("status", _) => {}
            ("metadata", Value::Object(fields)) => {
                let fields = fields.iter().filter(|(key, _)| *key != "managedFields");
                let fields = fields.map(|(key, value)| (key.clone(), value.clone())).collect();
                next.insert(key.clone(), Value::Object(fields));
            }
            _ => drop(next.insert(key.clone(), value.clone())),
        }
    }
    if let Some(status) = status {
        next.insert("status".to_owned(), status);
    }
    Value::Object(next)
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
    part: Part,
    name: &str,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<Vec<String>, ApiError> {
    let rt = ctx.rt;
    if rt.custom {
        validate::apply_defaults(rt, object);
    }
    let mut causes = metadata::validate(rt, object, old);
    let mut warnings = Vec::new();
    if rt.custom {
        let findings = validate::validate_part(rt, object, old, part == Part::Status);
        causes.extend(findings.causes);
        warnings = findings.warnings;
    } else {
        builtin::normalise(rt, object);
        causes.extend(builtin::validate(rt, object, old));
        if old.is_none() {
            warnings.extend(builtin::warnings(rt));
        }
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

fn is_known(api_version: &str, kind: &str) -> bool {
    let single = kind.strip_suffix("List").unwrap_or(kind);
    schemas::definition_of(api_version, kind).is_some()
        || schemas::definition_of(api_version, single).is_some()
}

/// What is answered to a body of another kind than that of a built-in kind's path.
fn other_kind(rt: &ResourceType, api_version: &str, kind: &str) -> ApiError {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let wanted = &rt.kind;
    let package = match rt.group.split('.').next() {
        None | Some("") => "core",
        Some(group) => group,
    };
    let why = if is_known(api_version, kind) {
        format!("converting ({version}.{kind}) to ({package}.{wanted}): unknown conversion")
    } else {
        format!(
            "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \
             \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
        )
    };
    // The version of a kind nobody knows is that of the path.
    let version = if is_known(api_version, kind) { version } else { &rt.version };
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
        return Err(other_kind(rt, &api_version, &kind));
    }
    if !api_version.is_empty() && api_version != rt.api_version() {
        if !rt.custom && !is_known(&api_version, &rt.kind) {
            return Err(other_kind(rt, &api_version, &rt.kind));
        }
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
    let unknown = match ctx.rt.builtin {
        Some(kind) => settle(&kind.definition(), object)
            .map_err(|why| cannot_be_handled(ctx.rt, ctx.rt, &why))?,
        None => validate::prune(ctx.rt, object),
    };
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

#[cfg(test)]
mod tests;
