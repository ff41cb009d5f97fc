//! `spec.versions` and what hangs on each: schema, columns, subresources, selectable fields.

use serde_json::{Value, json};

use super::{schema, structural};
use crate::jsonpath::JsonPath;
use crate::names;
use crate::status::Cause;

const COLUMN_TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: &[&str] =
    &["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MOST_SELECTABLE: usize = 8;

pub(super) fn check(spec: &Value) -> Vec<Cause> {
    let none = Vec::new();
    let versions = spec["versions"].as_array().unwrap_or(&none);
    let mut causes = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        if version["schema"]["openAPIV3Schema"].is_null() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            causes.push(Cause::required(field, ""));
        }
    }
    for (index, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{index}]");
        if let Some(why) = version["name"].as_str().and_then(names::label_1035) {
            causes.push(Cause::invalid(format!("{at}.name"), &version["name"], &why));
        }
        causes.extend(check_deprecation(version, &at));
    }
    causes.extend(check_parts(versions));
    let seen: std::collections::BTreeSet<&str> =
        versions.iter().filter_map(|version| version["name"].as_str()).collect();
    if seen.len() != versions.len() {
        let why = "must contain unique version names";
        causes.push(super::invalid("spec.versions", &as_upstream_prints(versions), why));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(super::invalid("spec.versions", &as_upstream_prints(versions), why));
    }
    causes
}

/// What versions share is checked once, at the top; what differs, in each version.
fn check_parts(versions: &[Value]) -> Vec<Cause> {
    let mut causes = Vec::new();
    for part in ["schema", "subresources", "additionalPrinterColumns", "selectableFields"] {
        let shared = versions.iter().all(|version| version[part] == versions[0][part]);
        let each = if shared { &versions[..versions.len().min(1)] } else { versions };
        for (index, version) in each.iter().enumerate() {
            let at = match (shared, part) {
                (true, "schema") => "spec.validation".to_owned(),
                (true, part) => format!("spec.{part}"),
                (false, part) => format!("spec.versions[{index}].{part}"),
            };
            causes.extend(check_part(version, part, &at));
        }
    }
    causes
}

fn check_part(version: &Value, part: &str, at: &str) -> Vec<Cause> {
    let list = || version[part].as_array().into_iter().flatten().enumerate();
    match part {
        "schema" => check_schema(version, &format!("{at}.openAPIV3Schema")),
        "subresources" => check_scale(&version[part]["scale"], &format!("{at}.scale")),
        "additionalPrinterColumns" => list()
            .flat_map(|(index, column)| check_column(column, &format!("{at}[{index}]")))
            .collect(),
        _ => check_selectable(version, at),
    }
}

fn check_schema(version: &Value, at: &str) -> Vec<Cause> {
    let Some(root) = version["schema"]["openAPIV3Schema"].as_object() else {
        return Vec::new();
    };
    let mut causes = Vec::new();
    if root.get("nullable") == Some(&Value::Bool(true)) {
        causes.push(Cause::forbidden(
            format!("{at}.nullable"),
            "nullable cannot be true at the root",
        ));
    }
    let unstructured = structural::check(root, at);
    if unstructured.is_empty() {
        causes.extend(structural::check_defaults(&version["schema"]["openAPIV3Schema"], at));
    }
    causes.extend(unstructured);
    causes.extend(schema::check(root, at));
    causes
}

fn check_deprecation(version: &Value, at: &str) -> Option<Cause> {
    let warning = version["deprecationWarning"].as_str()?;
    let why = if version["deprecated"] != true {
        "can only be set for deprecated versions"
    } else if warning.is_empty() {
        "must not be an empty string"
    } else if warning.len() > 256 {
        "must be <= 256 characters long"
    } else if warning.chars().any(char::is_control) {
        "must only contain printable UTF-8 characters; non-printable character found"
    } else {
        return None;
    };
    Some(Cause::invalid(format!("{at}.deprecationWarning"), &json!(warning), why))
}

fn check_scale(scale: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !scale.is_object() {
        return causes;
    }
    for (key, places, demand) in [
        ("specReplicasPath", &[".spec."][..], ".spec"),
        ("statusReplicasPath", &[".status."], ".status"),
        ("labelSelectorPath", &[".spec.", ".status."], "either .spec or .status"),
    ] {
        let (path, field) = (scale[key].as_str().unwrap_or_default(), format!("{at}.{key}"));
        if path.is_empty() {
            if key != "labelSelectorPath" {
                causes.push(Cause::required(field, ""));
            }
        } else if let Some(cause) = check_path(path, &field) {
            causes.push(cause);
        } else if !places.iter().any(|place| path.starts_with(place)) {
            let why = format!("should be a json path under {demand}");
            causes.push(Cause::invalid(field, &json!(path), &why));
        }
    }
    causes
}

fn check_path(path: &str, field: &str) -> Option<Cause> {
    if !path.starts_with('.') {
        let why = "must be a simple json path starting with .";
        return Some(Cause::invalid(field, &json!(path), why));
    }
    let unknown = JsonPath::parse(path).err()?;
    Some(Cause::invalid(field, &json!(path), &unknown.to_string()))
}

fn check_column(column: &Value, at: &str) -> Vec<Cause> {
    let text = |key: &str| column[key].as_str().unwrap_or_default();
    let mut causes = Vec::new();
    if text("name").is_empty() {
        causes.push(Cause::required(format!("{at}.name"), ""));
    }
    let types = format!("must be one of {}", COLUMN_TYPES.join(","));
    match text("type") {
        "" => causes.push(Cause::required(format!("{at}.type"), &types)),
        known if COLUMN_TYPES.contains(&known) => {}
        _ => causes.push(Cause::invalid(format!("{at}.type"), &column["type"], &types)),
    }
    if !text("format").is_empty() && !COLUMN_FORMATS.contains(&text("format")) {
        let why = format!("must be one of {}", COLUMN_FORMATS.join(","));
        causes.push(Cause::invalid(format!("{at}.format"), &column["format"], &why));
    }
    let field = format!("{at}.JSONPath");
    match text("jsonPath") {
        "" => causes.push(Cause::required(field, "")),
        path => causes.extend(check_path(path, &field)),
    }
    causes
}

fn check_selectable(version: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let fields = version["selectableFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    if fields.len() > MOST_SELECTABLE {
        causes.push(Cause::too_many(at, fields.len(), MOST_SELECTABLE as u64));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, selectable) in fields.iter().enumerate() {
        let (value, field) = (&selectable["jsonPath"], format!("{at}[{index}].jsonPath"));
        let path = value.as_str().unwrap_or_default();
        if path.is_empty() {
            causes.push(Cause::required(field, ""));
            continue;
        }
        if !seen.insert(path) {
            causes.push(Cause::duplicate(&field, value));
            continue;
        }
        let steps = path.trim_start_matches('.').split('.');
        let mut schema = &version["schema"]["openAPIV3Schema"];
        steps.for_each(|step| schema = &schema["properties"][step]);
        let why = if path.starts_with(".metadata") {
            "must not point to fields in metadata"
        } else if !schema.is_object() || !path.starts_with('.') {
            "is an invalid path: does not refer to a valid field"
        } else if !["string", "boolean", "integer"]
            .contains(&schema["type"].as_str().unwrap_or_default())
        {
            "must point to a field of type string, boolean or integer. Enum string fields and \
             strings with formats are allowed."
        } else {
            continue;
        };
        causes.push(Cause::invalid(field, value, why));
    }
    causes
}

/// Upstream prints its internal structs, with what versions share taken out of them.
fn as_upstream_prints(versions: &[Value]) -> String {
    let part = |version: &Value, key: &str| {
        let shared = versions.iter().all(|other| other[key] == versions[0][key]);
        if shared { Value::Null } else { version[key].clone() }
    };
    let one = |version: &Value| {
        let fields = [
            ("Name", version["name"].clone()),
            ("Served", json!(version["served"] == true)),
            ("Storage", json!(version["storage"] == true)),
            ("Deprecated", json!(version["deprecated"] == true)),
            ("DeprecationWarning", version["deprecationWarning"].clone()),
            ("Schema", part(version, "schema")),
            ("Subresources", part(version, "subresources")),
            ("AdditionalPrinterColumns", part(version, "additionalPrinterColumns")),
            ("SelectableFields", part(version, "selectableFields")),
        ];
        super::in_order(&fields)
    };
    format!("[{}]", versions.iter().map(one).collect::<Vec<_>>().join(","))
}

/// Versions in which objects may be stored cannot go, and the storage version is one of them.
pub(super) fn check_stored(crd: &Value) -> Vec<Cause> {
    let field = "status.storedVersions";
    let stored = crd["status"]["storedVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if stored.is_empty() {
        let why = "must have at least one stored version";
        return vec![Cause::invalid(field, &Value::Null, why)];
    }
    let versions = crd["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut causes = Vec::new();
    for version in versions.iter().filter(|version| version["storage"] == true) {
        if !stored.contains(&version["name"]) {
            let why = format!(
                "must have the storage version {}",
                version["name"].as_str().unwrap_or_default()
            );
            causes.push(Cause::invalid(field, &json!(stored), &why));
        }
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| &version["name"] == name) {
            let text = name.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {text} was previously a storage version, and must \
                 remain in spec.versions until a storage migration ensures no data remains \
                 persisted in {text} and removes {text} from status.storedVersions"
            );
            causes.push(Cause::invalid(format!("{field}[{index}]"), name, &why));
        }
    }
    causes
}
