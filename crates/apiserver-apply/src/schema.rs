//! What a kind's values are made of: compiled once from an OpenAPI v3 schema, then only read.
//!
//! The rules are those of `k8s.io/kube-openapi/pkg/schemaconv`: an object's fields are owned one by one unless
//! `x-kubernetes-map-type: atomic`; a list is one value unless `x-kubernetes-list-type` says `map` or `set` (or, on
//! built-in kinds, the patch strategy says `merge`); what the schema does not describe has granular maps and atomic
//! lists.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where a schema comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A built-in kind, whose required keys of list items have the defaults of Go: empty and zero.
    BuiltIn,
    /// A CustomResourceDefinition. `metadata` is the schema of that field, which such schemas leave open.
    Custom {
        /// The schema of ObjectMeta.
        metadata: &'a Value,
    },
}

/// A place in the table of types.
pub(crate) type TypeId = usize;

/// What is not described: any scalar, an atomic list, or a map of the same.
pub(crate) const DEDUCED: TypeId = 0;
/// Items of lists without `items`: one value, whatever it is.
const UNTYPED: TypeId = 1;

/// The types of one kind.
#[derive(Debug)]
pub struct Schema {
    types: Vec<Type>,
    pub(crate) root: TypeId,
}

/// The forms a value may have; several for what has no `type`.
#[derive(Debug, Default)]
pub(crate) struct Type {
    pub(crate) scalar: Option<Scalar>,
    pub(crate) list: Option<List>,
    pub(crate) map: Option<MapType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Numeric,
    Text,
    Boolean,
    Any,
}

#[derive(Debug)]
pub(crate) struct List {
    pub(crate) item: TypeId,
    pub(crate) relation: Relation,
}

/// How a list's items relate to those of another state of the list.
#[derive(Debug, PartialEq)]
pub(crate) enum Relation {
    /// The list is one value.
    Atomic,
    /// Items are found by value.
    Set,
    /// Items are found by these keys (sorted), which may have defaults.
    Keyed(Vec<(String, Option<Value>)>),
}

#[derive(Debug)]
pub(crate) struct MapType {
    pub(crate) fields: BTreeMap<String, TypeId>,
    /// The type of all other fields; None if there may be none.
    pub(crate) element: Option<TypeId>,
    pub(crate) atomic: bool,
}

/// The form in which a value is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form<'s> {
    Scalar(Scalar),
    List(&'s List),
    Map(&'s MapType),
}

impl MapType {
    pub(crate) fn field(&self, name: &str) -> Option<TypeId> {
        self.fields.get(name).copied().or(self.element)
    }
}

impl Form<'_> {
    pub(crate) fn is_like(self, other: Form<'_>) -> bool {
        matches!(
            (self, other),
            (Form::Scalar(_), Form::Scalar(_))
                | (Form::List(_), Form::List(_))
                | (Form::Map(_), Form::Map(_))
        )
    }
}

impl Schema {
    /// Compiles a kind's schema. `resolve` finds the target of a reference by its last segment.
    #[must_use]
    pub fn compile<'a>(
        root: &'a Value,
        origin: Origin<'a>,
        resolve: &dyn Fn(&str) -> Option<&'a Value>,
    ) -> Self {
        let built_in = matches!(origin, Origin::BuiltIn);
        let named = BTreeMap::new();
        let mut compiler = Compiler { types: undescribed(), named, resolve, built_in };
        let id = compiler.visit(root, false);
        let extra = match origin {
            Origin::BuiltIn => None,
            Origin::Custom { metadata } => Some(compiler.visit(metadata, false)),
        };
        let text = compiler.add(scalar(Scalar::Text));
        if let Some(map) = compiler.types.get_mut(id).and_then(|found| found.map.as_mut()) {
            for name in ["apiVersion", "kind"] {
                map.fields.entry(name.to_owned()).or_insert(text);
            }
            if let Some(extra) = extra {
                map.fields.insert("metadata".to_owned(), extra);
            }
        }
        Self { types: compiler.types, root: id }
    }

    /// A schema that describes nothing.
    #[must_use]
    pub fn undescribed() -> Self {
        Self { types: undescribed(), root: DEDUCED }
    }

    pub(crate) fn node(&self, id: TypeId) -> &Type {
        // Ids come from the table itself; the fallback keeps this free of panics.
        self.types.get(id).unwrap_or(&self.types[DEDUCED])
    }

    /// The form of a value of this type. A null takes any form.
    pub(crate) fn form(&self, id: TypeId, value: &Value) -> Form<'_> {
        let Type { scalar, list, map } = self.node(id);
        match (value, map, scalar, list) {
            (Value::Object(_), Some(map), _, _) => Form::Map(map),
            (Value::Array(_), _, _, Some(list)) => Form::List(list),
            (Value::Bool(_) | Value::Number(_) | Value::String(_), _, Some(scalar), _) => {
                Form::Scalar(*scalar)
            }
            (_, Some(map), _, _) => Form::Map(map),
            (_, _, Some(scalar), _) => Form::Scalar(*scalar),
            (_, _, _, Some(list)) => Form::List(list),
            _ => Form::Scalar(Scalar::Any),
        }
    }
}

fn scalar(scalar: Scalar) -> Type {
    Type { scalar: Some(scalar), ..Type::default() }
}

fn undescribed() -> Vec<Type> {
    let map = |element, atomic| MapType { fields: BTreeMap::new(), element: Some(element), atomic };
    let list = || Some(List { item: UNTYPED, relation: Relation::Atomic });
    let any = Some(Scalar::Any);
    vec![
        Type { scalar: any, list: list(), map: Some(map(DEDUCED, false)) },
        Type { scalar: any, list: list(), map: Some(map(UNTYPED, true)) },
    ]
}

struct Compiler<'a, 'r> {
    types: Vec<Type>,
    /// What references name, so that recursive types end. The flag: below something that keeps unknown fields.
    named: BTreeMap<(String, bool), TypeId>,
    resolve: &'r dyn Fn(&str) -> Option<&'a Value>,
    built_in: bool,
}

impl<'a> Compiler<'a, '_> {
    fn add(&mut self, kind: Type) -> TypeId {
        self.types.push(kind);
        self.types.len() - 1
    }

    fn visit(&mut self, schema: &'a Value, keeps_unknown: bool) -> TypeId {
        let Some(name) = reference(schema) else {
            let kind = self.build(schema, keeps_unknown);
            return self.add(kind);
        };
        let id = match self.named.get(&(name.to_owned(), keeps_unknown)) {
            Some(id) => *id,
            None => {
                let Some(target) = (self.resolve)(name) else {
                    return DEDUCED;
                };
                let id = self.add(Type::default());
                self.named.insert((name.to_owned(), keeps_unknown), id);
                self.types[id] = self.build(target, keeps_unknown);
                id
            }
        };
        // A field may declare a shared type atomic for itself.
        if schema.get("x-kubernetes-map-type") == Some(&Value::from("atomic")) {
            let map = MapType { fields: BTreeMap::new(), element: Some(DEDUCED), atomic: true };
            return self.add(Type { map: Some(map), ..Type::default() });
        }
        id
    }

    fn build(&mut self, schema: &'a Value, keeps_unknown: bool) -> Type {
        let keeps_unknown = keeps_unknown
            || schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        match type_of(schema) {
            "object" => Type { map: Some(self.map(schema, keeps_unknown)), ..Type::default() },
            "array" => Type { list: Some(self.list(schema, keeps_unknown)), ..Type::default() },
            "integer" | "number" => scalar(Scalar::Numeric),
            "boolean" => scalar(Scalar::Boolean),
            "string" => match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
                "" | "byte" => scalar(Scalar::Text),
                _ => scalar(Scalar::Any),
            },
            _ => Type {
                scalar: Some(Scalar::Any),
                list: Some(self.list(schema, keeps_unknown)),
                map: Some(self.map(schema, keeps_unknown)),
            },
        }
    }

    fn map(&mut self, schema: &'a Value, keeps_unknown: bool) -> MapType {
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields: BTreeMap<String, TypeId> = properties
            .into_iter()
            .flatten()
            .map(|(name, child)| (name.clone(), self.visit(child, keeps_unknown)))
            .collect();
        let element = match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(DEDUCED),
            Some(Value::Bool(false)) => None,
            Some(child) => Some(self.visit(child, keeps_unknown)),
            None if keeps_unknown || fields.is_empty() => Some(DEDUCED),
            None => None,
        };
        let embedded = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
        let element = if embedded { Some(DEDUCED) } else { element };
        let atomic = schema.get("x-kubernetes-map-type") == Some(&Value::from("atomic"));
        MapType { fields, element, atomic }
    }

    fn list(&mut self, schema: &'a Value, keeps_unknown: bool) -> List {
        let items = schema.get("items");
        let item = items.map_or(UNTYPED, |items| self.visit(items, keeps_unknown));
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        let keys: Vec<&str> =
            match (text("x-kubernetes-list-type"), text("x-kubernetes-patch-strategy")) {
                (Some("set"), _) => Vec::new(),
                (Some("map"), _) => {
                    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                    keys.into_iter().flatten().filter_map(Value::as_str).collect()
                }
                (None, Some("merge" | "merge,retainKeys")) => {
                    text("x-kubernetes-patch-merge-key").into_iter().collect()
                }
                _ => return List { item, relation: Relation::Atomic },
            };
        if keys.is_empty() {
            return List { item, relation: Relation::Set };
        }
        let target = items.map(|items| self.target(items));
        let properties = target.and_then(|target| target.get("properties"));
        let required = target.and_then(|target| target.get("required")).and_then(Value::as_array);
        let mut keys: Vec<(String, Option<Value>)> = keys
            .into_iter()
            .map(|key| {
                let field = properties.and_then(|fields| fields.get(key));
                let default = field.and_then(|field| field.get("default")).cloned();
                let required = required.is_some_and(|names| names.iter().any(|name| name == key));
                let implied = || self.built_in.then(|| implied_default(key, field, required))?;
                (key.to_owned(), default.or_else(implied))
            })
            .collect();
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        List { item, relation: Relation::Keyed(keys) }
    }

    fn target(&self, schema: &'a Value) -> &'a Value {
        reference(schema).and_then(self.resolve).unwrap_or(schema)
    }
}

/// The default of a key of a built-in kind, whose schema data holds none: ports are TCP, and what Go always writes is
/// empty or zero.
fn implied_default(key: &str, field: Option<&Value>, required: bool) -> Option<Value> {
    match (key, field.map(type_of)) {
        ("protocol", _) => Some(Value::from("TCP")),
        (_, Some("string")) if required => Some(Value::from("")),
        (_, Some("integer")) if required => Some(Value::from(0)),
        _ => None,
    }
}

/// The name that a reference points to, also where it hides in an `allOf` of one.
fn reference(schema: &Value) -> Option<&str> {
    let alone = schema.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1);
    let holder = alone.and_then(|all| all.first()).unwrap_or(schema);
    holder.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next())
}

/// The type, without the `null` that nullable types may list beside it.
fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A kind with one field of each sort.
    pub(crate) fn sample() -> Schema {
        let meta = json!({"type": "object", "properties": {
            "name": {"type": "string"}, "namespace": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            "managedFields": {"type": "array", "items": {"type": "object"}},
            "finalizers": {"type": "array", "items": {"type": "string"},
                "x-kubernetes-list-type": "set"}}});
        let port = json!({"type": "object", "properties": {"port": {"type": "integer"},
            "protocol": {"type": "string", "default": "TCP"}, "name": {"type": "string"}}});
        let root = json!({"type": "object", "properties": {
            "metadata": {"$ref": "#/components/schemas/Meta"},
            "spec": {"type": "object", "properties": {
                "replicas": {"type": "integer"}, "paused": {"type": "boolean"},
                "text": {"type": "string"},
                "selector": {"type": "object", "x-kubernetes-map-type": "atomic",
                    "additionalProperties": {"type": "string"}},
                "args": {"type": "array", "items": {"type": "string"}},
                "tags": {"type": "array", "items": {"type": "string"},
                    "x-kubernetes-list-type": "set"},
                "ports": {"type": "array", "items": {"$ref": "#/components/schemas/Port"},
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["protocol", "port"]},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "nested": {"type": "object", "properties": {"a": {"type": "string"},
                    "b": {"type": "string"}}}}},
            "data": {"type": "object", "additionalProperties": {"type": "string"}},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}});
        Schema::compile(&root, Origin::BuiltIn, &|name| match name {
            "Meta" => Some(&meta),
            "Port" => Some(&port),
            _ => None,
        })
    }

    #[test]
    fn keys_are_sorted_and_carry_their_defaults() {
        let schema = sample();
        let spec = schema.node(schema.root).map.as_ref().and_then(|map| map.field("spec"));
        let spec = schema.node(spec.unwrap_or_default()).map.as_ref();
        let ports = spec.and_then(|map| map.field("ports")).unwrap_or_default();
        let relation = schema.node(ports).list.as_ref().map(|list| &list.relation);
        let wanted = vec![("port".to_owned(), None), ("protocol".to_owned(), Some(json!("TCP")))];
        assert_eq!(relation, Some(&Relation::Keyed(wanted)));
    }

    #[test]
    fn a_type_that_holds_itself_ends() {
        let props = json!({"type": "object", "properties": {
            "not": {"$ref": "#/components/schemas/Props"}}});
        let schema = Schema::compile(&props, Origin::BuiltIn, &|_| Some(&props));
        assert!(schema.types.len() < 8, "{}", schema.types.len());
    }

    #[test]
    fn patch_strategies_stand_in_for_list_types() {
        let root = json!({"type": "object", "properties": {
            "a": {"type": "array", "items": {"type": "string"},
                "x-kubernetes-patch-strategy": "merge"},
            "b": {"type": "array", "items": {"type": "object"},
                "x-kubernetes-patch-strategy": "merge,retainKeys",
                "x-kubernetes-patch-merge-key": "name"},
            "c": {"type": "array", "items": {"type": "string"},
                "x-kubernetes-list-type": "atomic", "x-kubernetes-patch-strategy": "merge"}}});
        let metadata = json!({"type": "object"});
        let origin = Origin::Custom { metadata: &metadata };
        let schema = Schema::compile(&root, origin, &|_| None);
        let relation = |name: &str| {
            let map = schema.node(schema.root).map.as_ref();
            let id = map.and_then(|map| map.field(name)).unwrap_or_default();
            schema.node(id).list.as_ref().map(|list| &list.relation)
        };
        assert_eq!(relation("a"), Some(&Relation::Set));
        assert_eq!(relation("b"), Some(&Relation::Keyed(vec![("name".to_owned(), None)])));
        assert_eq!(relation("c"), Some(&Relation::Atomic));
    }
}
