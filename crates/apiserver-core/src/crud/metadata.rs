//! `metadata`: what the server sets, what clients may not touch, and how it must look.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Birth, Context, DeleteOptions, put};
use crate::names;
use crate::scheme::ResourceType;
use crate::status::{ApiError, Cause};
use crate::validate::{schema, shape::drop_metadata_nulls};

/// Annotations of one object together (`k8s.io/apimachinery/pkg/api/validation`).
const ANNOTATIONS_LIMIT_BYTES: usize = 256 * 1024;

/// Times in metadata have whole seconds.
pub(super) fn timestamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}

pub(super) fn is_deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// Finalizers of the object, or those in a namespace's spec.
pub(super) fn has_finalizers(object: &Value) -> bool {
    let own = object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    let spec = object["kind"] == "Namespace"
        && object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    own || spec
}

/// Makes sure there is a metadata object of the right types, without empty or foreign fields:
/// no managedFields (who keeps them sets them afterwards) and no selfLink.
pub(super) fn tidy(rt: &ResourceType, object: &mut Value) -> Result<(), ApiError> {
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    drop_metadata_nulls(rt, &mut object["metadata"]);
    let Some(fields) = object["metadata"].as_object_mut() else {
        return Err(ApiError::bad_request("metadata must be an object"));
    };
    fields.retain(|key, value| {
        let empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        !empty && key != "managedFields" && key != "selfLink"
    });
    super::refuse_undecodable(rt, schema::check_metadata(rt, &object["metadata"]))
}

/// Sets the path's namespace, which the body may repeat.
pub(super) fn set_namespace(ctx: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    let given = text(object, "namespace");
    match ctx.namespace.filter(|_| ctx.rt.namespaced) {
        Some(wanted) if given.is_empty() || given == wanted => {
            object["metadata"]["namespace"] = json!(wanted);
            Ok(())
        }
        None if given.is_empty() => Ok(()),
        _ => Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// What a new object gets: name, uid, creation time and generation. Answers the name.
pub(super) fn be_born(
    ctx: &Context<'_>,
    object: &mut Value,
    birth: Birth,
) -> Result<String, ApiError> {
    if !text(object, "resourceVersion").is_empty() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(ApiError::plain_500(message));
    }
    let (given, prefix) = (text(object, "name"), text(object, "generateName"));
    let name = if given.is_empty() && !prefix.is_empty() {
        // Upstream cuts the prefix so that the suffix fits into 63 characters.
        let prefix: String = prefix.chars().take(58).collect();
        format!("{prefix}{}", birth.suffix)
    } else {
        given.to_owned()
    };
    if !name.is_empty() {
        object["metadata"]["name"] = json!(name);
    }
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        put(&mut object["metadata"], key, None);
    }
    object["metadata"]["uid"] = json!(birth.uid);
    object["metadata"]["creationTimestamp"] = json!(timestamp(ctx.now));
    if has_generation(ctx.rt) {
        object["metadata"]["generation"] = json!(1);
    }
    Ok(name)
}

fn has_generation(rt: &ResourceType) -> bool {
    rt.builtin.is_none_or(fleetwright_apiserver_kinds::kinds::Kind::has_generation)
}

/// The name in an update's body must be that in the path.
pub(super) fn check_name(name: &str, object: &Value) -> Result<(), ApiError> {
    match text(object, "name") {
        "" => Err(ApiError::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        same if same == name => Ok(()),
        other => Err(ApiError::bad_request(format!(
            "the name of the object ({other}) does not match the name on the URL ({name})"
        ))),
    }
}

/// In a PUT, a uid is a precondition; in a patch, it is a field that cannot change.
pub(super) fn check_uid_precondition(
    rt: &ResourceType,
    name: &str,
    object: &Value,
    old: &Value,
) -> Result<(), ApiError> {
    let (wanted, found) = (text(object, "uid"), text(old, "uid"));
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    // Upstream tells where in etcd it looked.
    let namespace = text(old, "namespace");
    let place = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    let (plural, group) = (&rt.plural, &rt.group);
    let resource = if rt.custom { format!("{group}/{plural}") } else { plural.clone() };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{resource}/{place}, \
         ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: \
         {wanted}, UID in object meta: {found}"
    );
    Err(ApiError::conflict(rt, name, &why))
}

/// Custom kinds and leases cannot be overwritten blindly.
pub(super) fn check_version(rt: &ResourceType, name: &str, object: &Value) -> Result<(), ApiError> {
    let blind = text(object, "resourceVersion").is_empty();
    if blind && (rt.custom || rt.is("coordination.k8s.io", "leases")) {
        let detail = "must be specified for an update";
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), detail);
        return Err(ApiError::invalid_kind(&rt.group, &rt.plural, name, vec![cause]));
    }
    Ok(())
}

/// Optimistic locking.
pub(super) fn check_conflict(
    rt: &ResourceType,
    name: &str,
    object: &Value,
    old: &Value,
) -> Result<(), ApiError> {
    let wanted = text(object, "resourceVersion");
    if wanted.is_empty() || wanted == text(old, "resourceVersion") {
        return Ok(());
    }
    Err(ApiError::modified(rt, name))
}

/// What a client cannot change is taken over from the old object; uid and creationTimestamp only
/// where they are missing, so that a change of them is refused rather than ignored.
pub(super) fn inherit(object: &mut Value, old: &Value) {
    for key in ["resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        put(&mut object["metadata"], key, old["metadata"].get(key));
    }
    for key in ["uid", "creationTimestamp"] {
        if text(object, key).is_empty() {
            put(&mut object["metadata"], key, old["metadata"].get(key));
        }
    }
}

/// A change of anything the user declares counts; metadata and a status of its own do not.
pub(super) fn bump_generation(rt: &ResourceType, object: &mut Value, old: &Value) {
    let Some(generation) = old["metadata"]["generation"].as_i64() else {
        return;
    };
    let declared = |object: &Value| -> Vec<(String, Value)> {
        let fields = object.as_object().into_iter().flatten();
        let own = |key: &str| key != "metadata" && !(rt.has_status && key == "status");
        fields.filter(|(key, _)| own(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    if has_generation(rt) && declared(object) != declared(old) {
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

/// The rule for names of a kind.
fn name_check(rt: &ResourceType) -> fn(&str) -> Option<String> {
    let requests = rt.is("certificates.k8s.io", "certificatesigningrequests");
    if rt.is("", "namespaces") {
        names::label
    } else if rt.group == "rbac.authorization.k8s.io" || requests {
        names::path_segment
    } else {
        names::subdomain
    }
}

/// All that is wrong with the metadata.
pub(super) fn validate(rt: &ResourceType, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let metadata = &object["metadata"];
    let name = text(object, "name");
    let check = name_check(rt);
    if name.is_empty() {
        let detail = "name or generateName is required";
        causes.push(Cause::required("metadata.name", detail));
    } else if let (None, Some(why)) = (old, check(name)) {
        causes.push(Cause::invalid("metadata.name", &json!(name), &why));
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        if let Some(why) = names::qualified_name(key) {
            causes.push(Cause::invalid("metadata.labels", &json!(key), &why));
        }
        if let Some(why) = value.as_str().and_then(names::label_value) {
            causes.push(Cause::invalid("metadata.labels", value, &why));
        }
    }
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        // Upper case is allowed in the domain of annotations only.
        if let Some(why) = names::qualified_name(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), &why));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_LIMIT_BYTES {
        causes.push(Cause::too_long("metadata.annotations", ANNOTATIONS_LIMIT_BYTES as u64));
    }
    for finalizer in strings(&metadata["finalizers"]) {
        if let Some(why) = names::qualified_name(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", &json!(finalizer), &why));
        }
    }
    causes.extend(check_owners(&metadata["ownerReferences"]));
    if let Some(old) = old {
        let causes_of_change = check_immutable(object, old);
        if !rt.custom {
            // Upstream checks built-in kinds twice, once for all kinds and once for the one.
            causes.extend(causes_of_change.clone());
        }
        causes.extend(causes_of_change);
    }
    causes
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn check_owners(owners: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let list = owners.as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, owner) in list.iter().enumerate() {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if owner[key].as_str().unwrap_or_default().is_empty() {
                let field = format!("metadata.ownerReferences[{index}].{key}");
                causes.push(Cause::required(field, "must not be empty"));
            }
        }
    }
    let controllers: Vec<&Value> = list.iter().filter(|o| o["controller"] == true).collect();
    if let [first, second, ..] = controllers.as_slice() {
        let show = |owner: &Value| {
            let part = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
            format!("{}/{}", part("kind"), part("name"))
        };
        let (first, second) = (show(first), show(second));
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for \
             {first} and {second}"
        );
        let shown = list.iter().map(as_go_writes).collect::<Vec<_>>().join(",");
        let message = format!("[{shown}]: {detail}");
        causes.push(Cause::invalid_without_value("metadata.ownerReferences", &message));
    }
    causes
}

/// An owner reference with its fields in the order of the Go struct.
fn as_go_writes(owner: &Value) -> String {
    let keys = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let present = keys.into_iter().filter_map(|key| Some((key, owner.get(key)?)));
    let fields: Vec<String> = present.map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn check_immutable(object: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for key in ["uid", "creationTimestamp"] {
        if text(object, key) != text(old, key) {
            let (field, value) = (format!("metadata.{key}"), &object["metadata"][key]);
            causes.push(Cause::invalid(field, value, "field is immutable"));
        }
    }
    if is_deleting(old) {
        let before = strings(&old["metadata"]["finalizers"]);
        let now = strings(&object["metadata"]["finalizers"]);
        let new: Vec<String> =
            now.iter().filter(|f| !before.contains(f)).map(|f| format!("\"{f}\"")).collect();
        if !new.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                new.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &detail));
        }
    }
    causes
}

/// The preconditions of a delete.
pub(super) fn check_preconditions(
    rt: &ResourceType,
    old: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let all = [
        ("UID", &options.uid, "uid", "deleted and then recreated"),
        ("ResourceVersion", &options.resource_version, "resourceVersion", "modified"),
    ];
    for (what, wanted, key, fate) in all {
        let found = text(old, key);
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record \
                 ({found}). The object might have been {fate}"
            );
            return Err(ApiError::precondition(rt, text(old, "name"), &why));
        }
    }
    Ok(())
}
