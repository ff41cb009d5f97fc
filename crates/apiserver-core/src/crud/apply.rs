//! Server-side apply of one configuration: PATCH with `application/apply-patch+yaml`.

use fleetwright_apiserver_apply::{Applied, ApplyError, Configuration, apply as lay_over};
use serde_json::{Value, json};

use super::{
    Admitted, Birth, Context, Document, Owners, Part, Proposed, bring_forth, metadata, owners,
    replace,
};
use crate::request::FieldValidation;
use crate::scheme::ResourceType;
use crate::status::{ApiError, Cause, CauseReason};
use crate::validate;

/// Makes the next state of `old` from an applied configuration. Call again with the newer object if it lost a race.
///
/// # Errors
/// 400 for configurations of another kind or name, 409 for fields that others own (with a cause each) unless the
/// request forces it, 500 for what does not fit the schema (as upstream), else as [`super::update`].
pub fn apply(
    ctx: &Context<'_>,
    name: &str,
    part: Part,
    old: &Value,
    config: &Document,
) -> Result<Admitted, ApiError> {
    let warnings = screen(ctx, config)?;
    let mut object = merge(ctx, part, old, &config.value)?;
    let owners = Owners::Told(owners::take(&mut object));
    let mut warned = super::screen(ctx, &mut object, Vec::new())?;
    warned.splice(0..0, warnings);
    replace(ctx, name, part, old, Proposed { object, owners, warnings: warned })
}

/// Makes a new object from an applied configuration.
///
/// # Errors
/// As [`apply`]; 409 if the configuration names a uid, since there is no object that could have it.
pub fn apply_new(
    ctx: &Context<'_>,
    name: &str,
    config: &Document,
    birth: Birth,
) -> Result<Admitted, ApiError> {
    let warnings = screen(ctx, config)?;
    let mut object = merge(ctx, Part::Main, &Value::Null, &config.value)?;
    let given = owners::take(&mut object);
    let mut warned = super::screen(ctx, &mut object, Vec::new())?;
    warned.splice(0..0, warnings);
    metadata::check_name(name, &object)?;
    if let Some(uid) = object["metadata"]["uid"].as_str() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(ApiError::conflict(ctx.rt, name, &why));
    }
    // A resourceVersion is no precondition here (recorded).
    super::remove(&mut object["metadata"], "resourceVersion");
    let mut admitted = bring_forth(ctx, object, birth, warned)?;
    owners::put_back(&mut admitted.object, given, &Value::Null);
    Ok(admitted)
}

/// Keys that come twice, as the YAML reader of upstream tells them.
fn screen(ctx: &Context<'_>, config: &Document) -> Result<Vec<String>, ApiError> {
    let twice = config.duplicates.iter().map(|path| {
        let key = path.rsplit('.').next().unwrap_or_default();
        format!("line 1: key {key:?} already set in map")
    });
    let twice: Vec<String> = twice.collect();
    match ctx.options.field_validation {
        FieldValidation::Strict if !twice.is_empty() => Err(ApiError::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
            twice.join("\n  ")
        ))),
        FieldValidation::Ignore => Ok(Vec::new()),
        _ => Ok(twice),
    }
}

fn merge(ctx: &Context<'_>, part: Part, live: &Value, config: &Value) -> Result<Value, ApiError> {
    let rt = ctx.rt;
    if !config.is_object() {
        return Err(ApiError::bad_request("error decoding YAML: the configuration is no object"));
    }
    let kind = shown_kind(config);
    if config["apiVersion"] != rt.api_version() || config["kind"] != rt.kind {
        return Err(ApiError::bad_request(format!("invalid object type: {kind}")));
    }
    let asked = Configuration {
        live,
        bare: owners::bare(rt),
        config,
        force: ctx.options.force,
        skipped: owners::out_of_reach(rt, part),
    };
    let applied = owners::as_writer(ctx, part, |writer| lay_over(rt.ownership(), &asked, writer));
    let Applied { mut object, .. } = applied.map_err(|error| match error {
        ApplyError::OwnersGiven => ApiError::bad_request(error.to_string()),
        ApplyError::Misfit(why) => {
            let text = |key: &str| config["metadata"][key].as_str().unwrap_or_default();
            let (namespace, name) = (text("namespace"), text("name"));
            ApiError::plain_500(format!(
                "failed to create typed patch object ({namespace}/{name}; {kind}): {why}"
            ))
        }
        ApplyError::Conflicts(ref conflicts) => {
            let causes = conflicts.iter().map(|conflict| Cause {
                reason: CauseReason::FieldManagerConflict,
                field: conflict.field.clone(),
                message: format!("conflict with {}", conflict.owner),
            });
            ApiError::apply_conflict(error.to_string(), causes.collect())
        }
    })?;
    if !rt.custom {
        empty_texts(rt, &mut object);
    }
    Ok(object)
}

/// In maps of texts, Go reads null as the empty text.
fn empty_texts(rt: &ResourceType, object: &mut Value) {
    let Value::Object(fields) = object else { return };
    for (name, value) in fields.iter_mut() {
        if validate::is_text_map(rt, name) {
            let entries = value.as_object_mut().into_iter().flatten();
            entries.filter(|(_, text)| text.is_null()).for_each(|(_, text)| *text = json!(""));
        }
    }
}

/// Group, version and kind as upstream prints them: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`.
fn shown_kind(config: &Value) -> String {
    let text = |key: &str| config[key].as_str().unwrap_or_default();
    let version = text("apiVersion");
    let slash = if version.contains('/') { "" } else { "/" };
    format!("{slash}{version}, Kind={}", text("kind"))
}
