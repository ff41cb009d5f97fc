//! The other forms of objects: `meta.k8s.io/v1` Table (what kubectl prints) and
//! PartialObjectMetadata, and the lists of them.

use fleetwright_apiserver_kinds::columns as builtin;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::jsonpath::JsonPath;
use crate::negotiate::IncludeObject;
use crate::scheme::{Cell, Column, ResourceType};

/// How a table is made.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    /// What rows carry beside cells.
    pub include: IncludeObject,
    /// For ages.
    pub now: Timestamp,
    /// Whether the column definitions are written: not in the later events of a watch.
    pub columns: bool,
}

/// A table of objects. `list_meta` becomes its metadata.
#[must_use]
pub fn table<'a>(
    rt: &ResourceType,
    objects: impl Iterator<Item = &'a Value>,
    list_meta: Value,
    options: TableOptions,
) -> Value {
    let rows: Vec<Value> = objects.map(|object| row(rt, object, options)).collect();
    let columns: Vec<Value> = rt.columns.iter().map(definition).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_meta,
        "columnDefinitions": if options.columns { json!(columns) } else { Value::Null },
        "rows": rows,
    })
}

fn definition(column: &Column) -> Value {
    // Descriptions of built-in kinds are unpacked when the first table is made.
    if let Cell::Builtin(column) = &column.cell {
        return json!({"name": column.name, "type": column.kind, "format": column.format,
            "description": column.description(), "priority": column.priority});
    }
    json!({"name": column.name, "type": column.kind, "format": column.format,
        "description": column.description, "priority": column.priority})
}

fn row(rt: &ResourceType, object: &Value, options: TableOptions) -> Value {
    let cells: Vec<Value> =
        rt.columns.iter().map(|column| cell(column, object, options.now)).collect();
    let carried = match options.include {
        IncludeObject::None => return json!({"cells": cells}),
        IncludeObject::Metadata => partial_metadata(object),
        IncludeObject::Object => object.clone(),
    };
    json!({"cells": cells, "object": carried})
}

fn cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    match &column.cell {
        Cell::Age(path) => age_cell(path, object, now),
        Cell::Path(path) => typed(&column.kind, &path.find(object)),
        Cell::Builtin(column) => builtin_cell(column.cell, object, now),
    }
}

fn builtin_cell(cell: builtin::Cell, object: &Value, now: Timestamp) -> Value {
    let time = |pointer: &str| object.pointer(pointer)?.as_str()?.parse::<Timestamp>().ok();
    let between = |from: Timestamp, to: Timestamp| json!(age(to.as_second() - from.as_second()));
    match cell {
        builtin::Cell::Text(pointer) => match object.pointer(pointer).and_then(Value::as_str) {
            Some(text) => json!(text),
            None => json!(""),
        },
        builtin::Cell::Computed(how) => how(object),
        builtin::Cell::Age(pointers) => match pointers.iter().find_map(|at| time(at)) {
            Some(then) => between(then, now),
            None => json!("<unknown>"),
        },
        builtin::Cell::Between(from, to) => match time(from) {
            Some(from) => between(from, time(to).unwrap_or(now)),
            None => json!(""),
        },
    }
}

fn age_cell(path: &JsonPath, object: &Value, now: Timestamp) -> Value {
    let Some(text) = path.first(object).and_then(Value::as_str) else {
        return Value::Null;
    };
    match text.parse::<Timestamp>() {
        Ok(then) => json!(age(now.as_second() - then.as_second())),
        Err(_) => json!("<unknown>"),
    }
}

/// A value of another type than the column's gives an empty cell, as upstream.
fn typed(kind: &str, found: &[&Value]) -> Value {
    let Some(first) = found.first() else {
        return Value::Null;
    };
    let fits = match kind {
        "integer" => first.is_i64() || first.is_u64(),
        "number" => first.is_number(),
        "boolean" => first.is_boolean(),
        _ => {
            let text = |value: &&Value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            return json!(found.iter().map(text).collect::<Vec<_>>().join(" "));
        }
    };
    if fits { (*first).clone() } else { Value::Null }
}

/// An age as kubectl shows it, with two units at most (`k8s.io/apimachinery/pkg/util/duration`).
#[must_use]
pub fn age(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |unit: i64, name: char, small: i64, small_name: char| {
        let (whole, rest) = (seconds / unit, seconds % unit / small);
        if rest == 0 {
            format!("{whole}{name}")
        } else {
            format!("{whole}{name}{rest}{small_name}")
        }
    };
    match seconds {
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two(MINUTE, 'm', 1, 's'),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => two(HOUR, 'h', MINUTE, 'm'),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => two(DAY, 'd', HOUR, 'h'),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => two(YEAR, 'y', DAY, 'd'),
        s => format!("{}y", s / YEAR),
    }
}

/// `meta.k8s.io/v1` PartialObjectMetadata of an object.
#[must_use]
pub fn partial_metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"]})
}

/// A list of whole objects. As upstream, items of built-in kinds lose `kind` and `apiVersion`.
#[must_use]
pub fn list(rt: &ResourceType, mut items: Vec<Value>, list_meta: Value) -> Value {
    if !rt.custom {
        for fields in items.iter_mut().filter_map(Value::as_object_mut) {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
    }
    json!({"kind": rt.list_kind(), "apiVersion": rt.api_version(), "metadata": list_meta,
        "items": items})
}

/// `meta.k8s.io/v1` PartialObjectMetadataList of objects (whole or partial).
#[must_use]
pub fn partial_metadata_list(items: Vec<Value>, list_meta: Value) -> Value {
    let items: Vec<Value> = items.iter().map(partial_metadata).collect();
    json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": list_meta, "items": items})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::Scheme;

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, wanted) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (5 * 60 + 7, "5m7s"),
            (11 * 60 + 7, "11m"),
            (3 * 3600 + 60, "3h1m"),
            (9 * 3600 + 60, "9h"),
            (50 * 3600, "2d2h"),
            (30 * 86_400, "30d"),
            (800 * 86_400, "2y70d"),
            (3_650 * 86_400, "10y"),
        ] {
            assert_eq!(age(seconds), wanted, "{seconds}");
        }
    }

    fn cells(group: &str, plural: &str, object: &Value) -> Value {
        let scheme = Scheme::builtin();
        let now = "2026-01-01T00:10:00Z".parse().unwrap_or_default();
        let options = TableOptions { include: IncludeObject::None, now, columns: true };
        let rt = scheme.find(group, "v1", plural);
        let made = rt.map(|rt| table(rt, std::iter::once(object), json!({}), options));
        made.unwrap_or_default()["rows"][0]["cells"].clone()
    }

    #[test]
    fn builtin_kinds_have_the_columns_kubectl_users_know() {
        let metadata = json!({"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"});
        let map = json!({"metadata": metadata, "data": {"k": "v"}, "binaryData": {"b": "AAE="}});
        assert_eq!(cells("", "configmaps", &map), json!(["a", 2, "10m"]));
        let secret = json!({"metadata": metadata, "type": "Opaque"});
        assert_eq!(cells("", "secrets", &secret), json!(["a", "Opaque", 0, "10m"]));
        let namespace = json!({"metadata": metadata, "status": {"phase": "Active"}});
        assert_eq!(cells("", "namespaces", &namespace), json!(["a", "Active", "10m"]));
        let lease = json!({"metadata": metadata, "spec": {"holderIdentity": "me"}});
        assert_eq!(cells("coordination.k8s.io", "leases", &lease), json!(["a", "me", "10m"]));
        let policy = json!({"metadata": metadata,
            "spec": {"podSelector": {"matchLabels": {"a": "b"}}}});
        let row = cells("networking.k8s.io", "networkpolicies", &policy);
        assert_eq!(row, json!(["a", "a=b", "10m"]));
        let node = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/cp": ""}},
            "spec": {"unschedulable": true}, "status": {"nodeInfo": {"kubeletVersion": "v1.36.0"},
            "conditions": [{"type": "Ready", "status": "True"}]}});
        let wanted = json!([
            "n",
            "Ready,SchedulingDisabled",
            "cp",
            "<unknown>",
            "v1.36.0",
            "<none>",
            "<none>",
            "<unknown>",
            "<unknown>",
            "<unknown>"
        ]);
        assert_eq!(cells("", "nodes", &node), wanted);
        let pod = json!({"metadata": metadata, "spec": {"containers": [{}, {}]},
            "status": {"phase": "Running", "containerStatuses": [{"ready": true, "restartCount": 2},
            {"ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
        let wanted = json!([
            "a",
            "1/2",
            "CrashLoopBackOff",
            "2",
            "10m",
            "<none>",
            "<none>",
            "<none>",
            "<none>"
        ]);
        assert_eq!(cells("", "pods", &pod), wanted);
    }

    #[test]
    fn items_in_lists_of_builtin_kinds_do_not_repeat_their_kind() {
        let scheme = Scheme::builtin();
        let item = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}});
        let made = scheme.find("", "v1", "secrets").map(|rt| list(rt, vec![item], json!({})));
        let wanted = json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {},
            "items": [{"metadata": {"name": "a"}}]});
        assert_eq!(made, Some(wanted));
    }

    #[test]
    fn custom_kinds_show_their_printer_columns() {
        let rt = crate::testing::ship();
        let object = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"flag": "red", "crew": 4},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let bare = json!({"metadata": {"name": "b"}, "spec": {"crew": "four"}});
        let now = "2026-01-01T00:10:00Z".parse().unwrap_or_default();
        let options = TableOptions { include: IncludeObject::Metadata, now, columns: true };
        let made = table(&rt, [&object, &bare].into_iter(), json!({}), options);
        let columns = made["columnDefinitions"].as_array().into_iter().flatten();
        let names: Vec<(&Value, &Value)> = columns.map(|c| (&c["name"], &c["type"])).collect();
        let text = json!(["Name", "Flag", "Crew", "Ready", "Age", "string", "integer", "date"]);
        assert_eq!(
            names,
            [
                (&text[0], &text[5]),
                (&text[1], &text[5]),
                (&text[2], &text[6]),
                (&text[3], &text[5]),
                (&text[4], &text[7])
            ]
        );
        assert_eq!(made["rows"][0]["cells"], json!(["a", "red", 4, "True", "10m"]));
        assert_eq!(made["rows"][1]["cells"], json!(["b", null, null, null, null]));
        let carried = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "b"}});
        assert_eq!(made["rows"][1]["object"], carried);
        let later =
            table(&rt, std::iter::empty(), json!({}), TableOptions { columns: false, ..options });
        assert_eq!(later["columnDefinitions"], Value::Null);
    }
}
