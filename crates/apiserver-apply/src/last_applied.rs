//! The annotation of `kubectl apply` without `--server-side`: what it says was applied does not conflict with a
//! server-side apply of kubectl, which thereby takes over.

use serde_json::{Value, json};

use crate::schema::Schema;
use crate::set::FieldSet;

/// The manager whose applies read and write the annotation.
pub(crate) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations of one object together; a bigger one is not written.
const LIMIT_BYTES: usize = 256 * 1024;

fn annotation(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()
}

/// The fields of the annotation that the object still holds as it says.
pub(crate) fn still_true(schema: &Schema, live: &Value, api_version: &str) -> Option<FieldSet> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    if last.get("apiVersion")? != api_version || !schema.misfits(&last).is_empty() {
        return None;
    }
    let mut set = schema.fields_of(&last);
    let difference = schema.compare(&last, live, &[]);
    set.subtract(&difference.changed);
    set.subtract(&difference.removed);
    Some(set)
}

/// Writes the configuration into the annotation, if the object has it.
pub(crate) fn renew(object: &mut Value, config: &Value) {
    if annotation(object).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(Value::Object(annotations)) = config.pointer_mut("/metadata/annotations") {
        annotations.remove(ANNOTATION);
    }
    let text = format!("{config}\n");
    let Some(Value::Object(all)) = object.pointer_mut("/metadata/annotations") else { return };
    all.insert(ANNOTATION.to_owned(), json!(text));
    let size: usize =
        all.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > LIMIT_BYTES {
        all.remove(ANNOTATION);
    }
}
