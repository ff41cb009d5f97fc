//! `/scale`: an object as an `autoscaling/v1` Scale, and a Scale put into an object.

use serde_json::{Map, Value, json};

use fleetwright_apiserver_apply::Given;

use super::{Admitted, Context, Owners, Part, Proposed, replace};
use crate::document::Document;
use crate::negotiate::BodyKind;
use crate::patch::{json_patch, merge_patch};
use crate::scheme::{ResourceType, ScalePaths};
use crate::status::{ApiError, Cause};

fn find<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, step| at.get(step))
}

fn paths(rt: &ResourceType) -> Result<&ScalePaths, ApiError> {
    rt.scale.as_ref().ok_or_else(ApiError::path_not_found)
}

/// The object's Scale.
///
/// # Errors
/// 404 for kinds without `/scale`, 500 for a custom object that does not say how many it wants.
pub fn show(rt: &ResourceType, object: &Value) -> Result<Value, ApiError> {
    let paths = paths(rt)?;
    let wanted = find(object, &paths.spec).and_then(Value::as_i64);
    if rt.custom && wanted.is_none() {
        let path = paths.spec.join(".");
        return Err(ApiError::plain_500(format!(
            "the spec replicas field \".{path}\" does not exist"
        )));
    }
    let mut metadata = Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(key) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let count = find(object, &paths.status).and_then(Value::as_i64).unwrap_or_default();
    let mut status = json!({"replicas": count});
    let selector = paths.selector.as_ref().and_then(|path| find(object, path)).map(as_text);
    if let Some(text) = selector.filter(|text| !text.is_empty()) {
        status["selector"] = json!(text);
    }
    let spec = match wanted.unwrap_or_default() {
        0 => json!({}),
        wanted => json!({"replicas": wanted}),
    };
    Ok(json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": spec, "status": status}))
}

/// A selector as text: it is one already, a map of labels, or a LabelSelector.
fn as_text(selector: &Value) -> String {
    let labels = |map: &Value| -> Vec<String> {
        let pairs = map.as_object().into_iter().flatten();
        pairs.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect()
    };
    let Value::Object(fields) = selector else {
        return selector.as_str().unwrap_or_default().to_owned();
    };
    if !fields.contains_key("matchLabels") && !fields.contains_key("matchExpressions") {
        return labels(selector).join(",");
    }
    let mut parts = labels(&selector["matchLabels"]);
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        parts.push(match expression["operator"].as_str().unwrap_or_default() {
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            operator => format!("{key} {} ({})", operator.to_lowercase(), values.join(",")),
        });
    }
    parts.join(",")
}

pub(super) fn patch(
    ctx: &Context<'_>,
    name: &str,
    old: &Value,
    (kind, document): (BodyKind, &Document),
) -> Result<Admitted, ApiError> {
    if kind == BodyKind::ApplyPatch {
        return apply(ctx, name, old, document);
    }
    let mut scale = show(ctx.rt, old)?;
    if kind == BodyKind::JsonPatch {
        scale = json_patch(&scale, &document.value)?;
    } else {
        merge_patch(&mut scale, &document.value);
    }
    put_into(ctx, name, old, &scale)
}

pub(super) fn update(
    ctx: &Context<'_>,
    name: &str,
    old: &Value,
    body: &Document,
) -> Result<Admitted, ApiError> {
    let kind = body.value["kind"].as_str().unwrap_or("Scale");
    if kind != "Scale" {
        let text = format!("{kind} cannot be handled as a Scale: unknown conversion");
        return Err(ApiError::bad_request(text));
    }
    put_into(ctx, name, old, &body.value)
}

/// An applied Scale is an apply of that one field to the object.
fn apply(
    ctx: &Context<'_>,
    name: &str,
    old: &Value,
    config: &Document,
) -> Result<Admitted, ApiError> {
    let scale = &config.value;
    if scale["apiVersion"] != "autoscaling/v1" || scale["kind"] != "Scale" {
        let text = "invalid object type: an autoscaling/v1 Scale is applied to /scale";
        return Err(ApiError::bad_request(text));
    }
    let mut whole = json!({"apiVersion": ctx.rt.api_version(), "kind": ctx.rt.kind});
    whole["metadata"]["name"] = scale["metadata"]["name"].clone();
    if scale["spec"].get("replicas").is_some() {
        let wanted = replicas(name, scale)?;
        put(&mut whole, &paths(ctx.rt)?.spec, wanted);
    }
    let config = Document { value: whole, duplicates: config.duplicates.clone() };
    super::apply(ctx, name, Part::Scale, old, &config)
}

fn put(object: &mut Value, path: &[String], wanted: i64) {
    let mut at = object;
    for step in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    *at = json!(wanted);
}

/// The number that a Scale asks for.
fn replicas(name: &str, scale: &Value) -> Result<i64, ApiError> {
    let wanted = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        number => number.as_i64().filter(|n| i32::try_from(*n).is_ok()).ok_or_else(|| {
            let text = "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is no \
                        32 bit integer";
            ApiError::bad_request(text)
        })?,
    };
    if wanted < 0 {
        let why = "must be greater than or equal to 0";
        let cause = Cause::invalid("spec.replicas", &json!(wanted), why);
        return Err(ApiError::invalid_kind("autoscaling", "Scale", name, vec![cause]));
    }
    Ok(wanted)
}

fn put_into(
    ctx: &Context<'_>,
    name: &str,
    old: &Value,
    scale: &Value,
) -> Result<Admitted, ApiError> {
    let wanted = replicas(name, scale)?;
    let mut object = old.clone();
    let version = &scale["metadata"]["resourceVersion"];
    if version.as_str().is_some_and(|version| !version.is_empty()) {
        object["metadata"]["resourceVersion"] = version.clone();
    }
    put(&mut object, &paths(ctx.rt)?.spec, wanted);
    let (owners, warnings) = (Owners::Untold(Given::Sent(None)), Vec::new());
    replace(ctx, name, Part::Scale, old, Proposed { object, owners, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_every_form_become_text() {
        for (selector, wanted) in [
            (json!("a=b"), "a=b"),
            (json!({"a": "b", "c": "d"}), "a=b,c=d"),
            (json!({"matchLabels": {"a": "b"}}), "a=b"),
            (
                json!({"matchLabels": {"a": "b"}, "matchExpressions": [
                    {"key": "k", "operator": "In", "values": ["v", "w"]},
                    {"key": "x", "operator": "DoesNotExist"}]}),
                "a=b,k in (v,w),!x",
            ),
        ] {
            assert_eq!(as_text(&selector), wanted);
        }
    }
}
