//! The built-in kinds: what `fleetwright-apiserver-kinds` says of them, as types of a scheme.

use std::sync::Arc;

use fleetwright_apiserver_kinds::columns;
use fleetwright_apiserver_kinds::kinds::{self, Kind};
use fleetwright_apiserver_kinds::schemas::definitions;

use super::{Cell, Column, ResourceType, Rules, ScalePaths, Scheme, group_version};
use crate::jsonpath::JsonPath;

/// The name column every table begins with.
pub(super) fn name_column() -> Column {
    Column {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        description: columns::name_description(),
        priority: 0,
        // A constant of this file; a wrong one would give an empty cell, which tests notice.
        cell: Cell::Path(JsonPath::parse(".metadata.name").unwrap_or_else(|_| JsonPath::nowhere())),
    }
}

/// The built-in kinds, read and compiled.
pub(super) fn scheme() -> Scheme {
    let types = kinds::all().filter_map(resource_type);
    let keyed = types.map(|rt| (rt.key(), Arc::new(rt)));
    let own_crds = std::collections::BTreeMap::new();
    Scheme { types: keyed.collect(), definitions: Arc::clone(definitions()), own_crds }
}

fn resource_type(kind: &'static Kind) -> Option<ResourceType> {
    let schema = definitions().get(&kind.definition())?.clone();
    let (stored_group, stored_version) = kind.stored_in();
    let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
    Some(ResourceType {
        builtin: Some(kind),
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
        singular: kind.singular(),
        short_names: owned(kind.short_names),
        categories: owned(kind.categories),
        namespaced: kind.namespaced,
        has_status: kind.has_status(),
        custom: false,
        storage: kind.storage,
        stored_as: group_version(stored_group, stored_version),
        deprecation: kind.deprecation().map(str::to_owned),
        scale: scale(kind),
        columns: columns::columns(kind).into_iter().map(column).collect(),
        selectable_fields: owned(kind.selectable),
        rules: Rules::compile(kind.kind, &schema, Arc::clone(definitions())).ok()?,
        schema,
    })
}

fn scale(kind: &Kind) -> Option<ScalePaths> {
    let path = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>();
    kind.subresource("scale").map(|_| ScalePaths {
        spec: path(&["spec", "replicas"]),
        status: path(&["status", "replicas"]),
        selector: Some(path(&["spec", "selector"])),
    })
}

/// The description stays behind until a table is made: see `table.rs`.
fn column(column: columns::Column) -> Column {
    Column {
        name: column.name.to_owned(),
        kind: column.kind.to_owned(),
        format: column.format.to_owned(),
        description: String::new(),
        priority: column.priority,
        cell: Cell::Builtin(column),
    }
}
