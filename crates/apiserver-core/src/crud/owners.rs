//! `metadata.managedFields`: who wrote what. Recorded on every write, by the rules of `fleetwright_apiserver_apply`.
//!
//! The list is taken off an object while it is decoded, defaulted and checked, and put back at the end.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fleetwright_apiserver_apply::{Change, Given, Origin, Schema, Writer, settle_times, update};
use serde_json::Value;

use super::{Context, Part, metadata};
use crate::scheme::ResourceType;
use crate::validate::OBJECT_META;

pub(super) use fleetwright_apiserver_apply::take_owners as take;

/// Whoever names no manager and sends no User-Agent.
const NOBODY: &str = "unknown";

/// The owners an object carries.
pub(super) fn of(object: &Value) -> Option<&Value> {
    object.pointer("/metadata/managedFields")
}

/// Whether a patch says anything about owners.
pub(super) fn are_in(patch: &Value) -> bool {
    of(patch).is_some() || patch.get("metadata").is_some_and(|metadata| !metadata.is_object())
}

/// What an object of a kind holds by itself: in Go, structs and lists that are always written. Ownership of a new
/// object is told against this (recorded: creating a Deployment owns neither `spec` nor `containers` as such).
const BARE: &str = include_str!("bare.json");

/// What the server itself sets after the owners of a new object are told, by `kind.group`; `*` is every item.
const ALLOCATED: &[(&str, &[&str])] = &[
    (
        "Service",
        &[
            "/spec/clusterIP",
            "/spec/clusterIPs",
            "/spec/ipFamilies",
            "/spec/ipFamilyPolicy",
            "/spec/healthCheckNodePort",
            "/spec/ports/*/nodePort",
        ],
    ),
    ("Namespace", &["/spec/finalizers"]),
    (
        "Pod",
        &[
            "/spec/priority",
            "/spec/preemptionPolicy",
            "/spec/serviceAccount",
            "/spec/serviceAccountName",
            "/spec/tolerations",
            "/spec/volumes",
            "/spec/containers/*/volumeMounts",
        ],
    ),
    ("Job.batch", &["/spec/selector", "/spec/template/metadata/labels"]),
    ("PersistentVolumeClaim", &["/spec/storageClassName"]),
];

/// Reads the embedded table. It is part of the program, and a test reads it.
pub(super) fn bare(rt: &ResourceType) -> &'static Value {
    static TABLE: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    let table = TABLE.get_or_init(|| serde_json::from_str(BARE).unwrap_or_default());
    table.get(&rt.group_kind()).filter(|_| !rt.custom).unwrap_or(&Value::Null)
}

/// The schema by which ownership of the kind's fields is told.
pub(crate) fn compile(rt: &ResourceType) -> Schema {
    let definitions = &rt.rules().definitions;
    let resolve = |name: &str| definitions.get(name);
    let origin = match definitions.get(OBJECT_META) {
        Some(metadata) if rt.custom => Origin::Custom { metadata },
        _ => Origin::BuiltIn,
    };
    Schema::compile(&rt.schema, origin, &resolve)
}

/// Which fields of the root a write to this part cannot change.
pub(super) fn out_of_reach(rt: &ResourceType, part: Part) -> &'static [&'static str] {
    match part {
        Part::Main if rt.has_status => &["status"],
        Part::Main => &[],
        Part::Status => &["spec"],
        Part::Finalize | Part::Scale => &["status"],
    }
}

fn subresource(part: Part) -> &'static str {
    match part {
        Part::Main => "",
        Part::Status => "status",
        Part::Finalize => "finalize",
        Part::Scale => "scale",
    }
}

/// Runs with the writer that a request is.
pub(super) fn as_writer<T>(ctx: &Context<'_>, part: Part, run: impl FnOnce(&Writer<'_>) -> T) -> T {
    let (version, now) = (ctx.rt.api_version(), metadata::timestamp(ctx.now));
    let manager = ctx.options.field_manager.as_deref().unwrap_or(NOBODY);
    let subresource = subresource(part);
    run(&Writer { manager, subresource, api_version: &version, now: &now })
}

/// Notes the creator of a new object. See [`allocated`].
pub(super) fn record_create(
    ctx: &Context<'_>,
    object: &mut Value,
    given: Given,
    allocated: &[&'static str],
) {
    let change = Change {
        old: bare(ctx.rt),
        create: true,
        skipped: out_of_reach(ctx.rt, Part::Main),
        unowned: allocated,
    };
    let schema = ctx.rt.ownership();
    as_writer(ctx, Part::Main, |writer| update(schema, object, given, &change, writer));
}

/// The paths that the server will set and the body does not.
pub(super) fn allocated(rt: &ResourceType, body: &Value) -> Vec<&'static str> {
    let kind = rt.group_kind();
    let found = ALLOCATED.iter().find(|(name, _)| !rt.custom && *name == kind);
    let paths = found.map(|(_, paths)| *paths).unwrap_or_default();
    paths.iter().copied().filter(|path| !given(body, path)).collect()
}

/// Whether the body holds anything at a path, `*` being any item.
fn given(value: &Value, path: &str) -> bool {
    match path.split_once("/*") {
        None => value.pointer(path).is_some_and(|found| !found.is_null()),
        Some((list, rest)) => {
            let items = value.pointer(list).and_then(Value::as_array);
            items.into_iter().flatten().any(|item| given(item, rest))
        }
    }
}

/// Notes who changed what between two states. See [`allocated`].
pub(super) fn record(
    ctx: &Context<'_>,
    part: Part,
    object: &mut Value,
    (given, old): (Given, &Value),
    allocated: &[&'static str],
) {
    let skipped = out_of_reach(ctx.rt, part);
    let change = Change { old, create: false, skipped, unowned: allocated };
    let schema = ctx.rt.ownership();
    as_writer(ctx, part, |writer| update(schema, object, given, &change, writer));
}

/// Puts the owners that an apply told onto its result. If they differ from the old ones in their times only, and nothing
/// else differs, the old ones stay, and nothing is written.
pub(super) fn put_back(object: &mut Value, owners: Option<Value>, old: &Value) {
    if let (Some(owners), Some(metadata)) = (owners, object["metadata"].as_object_mut()) {
        metadata.insert("managedFields".to_owned(), owners);
    }
    settle_times(object, old);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::scheme;

    #[test]
    fn the_table_of_bare_objects_is_whole_and_names_known_kinds() {
        let table: BTreeMap<String, Value> = serde_json::from_str(BARE).unwrap_or_default();
        assert!(table.len() > 20, "{}", table.len());
        let known: Vec<String> = scheme().types().map(|rt| rt.group_kind()).collect();
        for name in table.keys().map(String::as_str).chain(ALLOCATED.iter().map(|(name, _)| *name))
        {
            assert!(known.iter().any(|kind| kind == name), "{name}");
        }
    }

    #[test]
    fn what_the_body_gives_is_its_own() {
        let scheme = scheme();
        let service = scheme.find("", "v1", "services").expect("a kind");
        let body = json!({"spec": {"clusterIP": "10.0.0.9", "ports": [{"nodePort": 30000}]}});
        let wanted = [
            "/spec/clusterIPs",
            "/spec/ipFamilies",
            "/spec/ipFamilyPolicy",
            "/spec/healthCheckNodePort",
        ];
        assert_eq!(allocated(service, &body), wanted);
    }
}
