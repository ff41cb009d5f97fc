//! Which kinds a logical cluster serves, and everything that sets one kind apart from another.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use fleetwright_apiserver_kinds::columns as builtin_columns;
pub use fleetwright_apiserver_kinds::kinds::Subresource;
use fleetwright_apiserver_kinds::kinds::{Kind, READ_WRITE, SCALE, STATUS};
use regex::Regex;
use serde_json::{Map, Value};

use crate::jsonpath::{JsonPath, JsonPathError};
use crate::request::RequestInfo;
use crate::status::ApiError;
use crate::validate::cel::RuleTree;

mod builtin;
mod crd;

/// The subresource of pods that deletes them unless a PodDisruptionBudget forbids it. It takes a
/// kind of its own, `policy/v1` Eviction.
pub const EVICTION_SUBRESOURCE: &str = "eviction";

/// The subresource that shows and sets only a number of replicas. It has a kind of its own,
/// `autoscaling/v1` Scale.
pub const SCALE_SUBRESOURCE: &str = "scale";

/// One kind in one version.
#[derive(Debug)]
pub struct ResourceType {
    /// Its row among the built-in kinds; None for custom ones.
    pub builtin: Option<&'static Kind>,
    /// API group; empty for the core group.
    pub group: String,
    /// Version, as `v1alpha1`.
    pub version: String,
    /// Kind, as `ManagedCluster`.
    pub kind: String,
    /// Plural name in paths, as `managedclusters`.
    pub plural: String,
    /// Singular name for clients.
    pub singular: String,
    /// Short names for clients.
    pub short_names: Vec<String>,
    /// Categories for clients, as `fleet`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `/status` is served, and the main path leaves status alone.
    pub has_status: bool,
    /// Whether it comes from a CustomResourceDefinition.
    pub custom: bool,
    /// Whether this version is the one in which objects are stored.
    pub storage: bool,
    /// The apiVersion in which objects of this kind are stored, whichever version is asked for.
    pub stored_as: String,
    /// What a deprecated version says with every answer (`Warning: 299`).
    pub deprecation: Option<String>,
    /// Where `/scale` reads and writes, if it is served.
    pub scale: Option<ScalePaths>,
    /// OpenAPI v3 schema. References go to `#/components/schemas/NAME`, see
    /// [`Scheme::definitions`].
    pub schema: Value,
    /// Table columns, the name first.
    pub columns: Vec<Column>,
    /// Fields a field selector may name beside `metadata.name` and `metadata.namespace`, as
    /// `spec.color`.
    pub selectable_fields: Vec<String>,
    rules: Rules,
}

/// What is compiled once per kind.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) definitions: Arc<Map<String, Value>>,
    pub(crate) cel: Option<RuleTree>,
    pub(crate) patterns: BTreeMap<String, Regex>,
    /// Whether the schema itself, without what it refers to, has a default.
    pub(crate) defaults: bool,
    /// Compiled when the first object of the kind is written.
    ownership: OnceLock<fleetwright_apiserver_apply::Schema>,
}

/// Where the scale subresource finds its numbers: field names from the top of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// The wanted number, as `spec`, `replicas`.
    pub spec: Vec<String>,
    /// The number there is.
    pub status: Vec<String>,
    /// The label selector, as text.
    pub selector: Option<Vec<String>>,
}

/// A column of the kind's table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Header.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// OpenAPI format, or `name` for the name column.
    pub format: String,
    /// For people.
    pub description: String,
    /// 0 is always shown, higher only with `-o wide`.
    pub priority: i64,
    /// Where the value comes from.
    pub cell: Cell,
}

/// Where a table cell's value comes from.
#[derive(Debug, Clone)]
pub enum Cell {
    /// A path into the object, converted to the column's type.
    Path(JsonPath),
    /// Age since the timestamp at the path, as text.
    Age(JsonPath),
    /// Of a built-in kind.
    Builtin(builtin_columns::Column),
}

/// Why a CustomResourceDefinition cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// A field is missing or has the wrong type.
    #[error("the CustomResourceDefinition lacks {field}")]
    Missing {
        /// Path of the field.
        field: &'static str,
    },
    /// The document is of another kind.
    #[error("not an apiextensions.k8s.io/v1 CustomResourceDefinition but {found}")]
    NotACrd {
        /// `apiVersion/kind` of the document.
        found: String,
    },
    /// Another type already has this name.
    #[error("{group_resource} is served already")]
    Taken {
        /// `plural.group`.
        group_resource: String,
    },
    /// A node of the schema does not say what type it has, or what its items are.
    #[error("the schema of {kind} is not structural at {field:?}: type or items are missing")]
    Unstructured {
        /// Kind.
        kind: String,
        /// Schema path.
        field: String,
    },
    /// A `pattern` is no regular expression we can run.
    #[error("pattern {pattern:?} in the schema of {kind}: {why}")]
    Pattern {
        /// Kind.
        kind: String,
        /// The pattern.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// An `x-kubernetes-validations` rule does not compile.
    #[error("validation rule in the schema of {kind} at {field}: {why}")]
    Rule {
        /// Kind.
        kind: String,
        /// Schema path.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// A printer column's path is outside our subset.
    #[error("printer column {column:?}")]
    Column {
        /// Name of the column.
        column: String,
        /// What is wrong.
        source: JsonPathError,
    },
}

impl ResourceType {
    /// `v1` or `fleetwright.dev/v1alpha1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// `ManagedClusterList`.
    #[must_use]
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// `secrets` or `managedclusters.fleetwright.dev`.
    #[must_use]
    pub fn group_resource(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// Group and plural under which its objects are stored: those of another kind where this one
    /// is only a view of it.
    #[must_use]
    pub fn stored_resource(&self) -> String {
        match self.view() {
            Some(kind) => qualified(&self.plural, kind.stored_in().0),
            None => self.group_resource(),
        }
    }

    /// The built-in kind, if it is only a view of objects that are stored in another version, with
    /// other fields.
    #[must_use]
    pub fn view(&self) -> Option<&'static Kind> {
        self.builtin.filter(|kind| !kind.storage)
    }

    /// `Secret` or `ManagedCluster.fleetwright.dev`.
    #[must_use]
    pub fn group_kind(&self) -> String {
        qualified(&self.kind, &self.group)
    }

    /// The verbs discovery announces.
    #[must_use]
    pub fn verbs(&self) -> &'static [&'static str] {
        self.builtin.map_or(READ_WRITE, |kind| kind.verbs)
    }

    /// The subresources served.
    #[must_use]
    pub fn subresources(&self) -> &'static [Subresource] {
        match (self.builtin, self.has_status, self.scale.is_some()) {
            (Some(kind), ..) => kind.subresources,
            (None, true, true) => &[SCALE, STATUS],
            (None, true, false) => &[STATUS],
            (None, false, true) => &[SCALE],
            (None, false, false) => &[],
        }
    }

    /// Whether the path, verb and subresource make sense for this type.
    ///
    /// # Errors
    /// 404 (a cluster-scoped kind in a namespace, an unknown subresource) or 405.
    pub fn check(&self, request: &RequestInfo) -> Result<(), ApiError> {
        if request.namespace.is_some() && !self.namespaced {
            return Err(ApiError::path_not_found());
        }
        if let Some(wanted) = &request.subresource {
            let found = self.subresources().iter().find(|sub| sub.name == wanted);
            // Upstream looks for what a custom kind does not serve in its storage.
            let name = request.name.as_deref().filter(|_| self.custom);
            let found = found.ok_or_else(|| {
                name.map_or_else(ApiError::path_not_found, |name| ApiError::not_found(self, name))
            })?;
            return if found.verbs.contains(&request.verb.as_str()) {
                Ok(())
            } else {
                Err(ApiError::method_not_allowed())
            };
        }
        let across = self.namespaced && request.namespace.is_none();
        let reading = matches!(request.verb.as_str(), "list" | "watch");
        if across && request.name.is_some() {
            return Err(ApiError::path_not_found());
        }
        if !self.verbs().contains(&request.verb.as_str()) || (across && !reading) {
            return Err(ApiError::method_not_allowed());
        }
        Ok(())
    }

    fn key(&self) -> (String, String, String) {
        (self.group.clone(), self.version.clone(), self.plural.clone())
    }

    /// Whether this is the given group and plural.
    #[must_use]
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// Whether the schema fills in anything.
    #[must_use]
    pub fn has_defaults(&self) -> bool {
        self.rules.defaults
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What the fields of this kind are to their owners.
    pub(crate) fn ownership(&self) -> &fleetwright_apiserver_apply::Schema {
        self.rules.ownership.get_or_init(|| crate::crud::ownership(self))
    }
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// What a CustomResourceDefinition makes a server serve.
#[derive(Debug, Clone)]
pub struct CompiledCrd {
    /// One type per served version.
    pub served: Vec<Arc<ResourceType>>,
    /// The type in which objects are stored, served or not.
    pub storage: Arc<ResourceType>,
}

/// The kinds of a logical cluster. Cheap to clone; immutable once built.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// By group, version and plural: the order in which discovery lists them.
    types: BTreeMap<(String, String, String), Arc<ResourceType>>,
    definitions: Arc<Map<String, Value>>,
    /// The CustomResourceDefinitions that came with [`Scheme::with_crd`], by name.
    own_crds: BTreeMap<String, Arc<Value>>,
}

impl Scheme {
    /// The built-in kinds. Only some of them act: nothing calls webhooks, fills a
    /// PersistentVolume or forwards to another API server.
    #[must_use]
    pub fn builtin() -> Self {
        static BUILTIN: OnceLock<Scheme> = OnceLock::new();
        BUILTIN.get_or_init(builtin::scheme).clone()
    }

    /// Adds the served versions of an `apiextensions.k8s.io/v1` CustomResourceDefinition.
    ///
    /// # Errors
    /// If the document is incomplete or a rule, pattern or column cannot be run: what cannot be
    /// checked is refused here rather than let through later.
    pub fn with_crd(mut self, crd: &Value) -> Result<Self, SchemeError> {
        for rt in self.compile(crd)?.served {
            if self.types.contains_key(&rt.key()) {
                return Err(SchemeError::Taken { group_resource: rt.group_resource() });
            }
            self.types.insert(rt.key(), rt);
        }
        let name = crate::crd::name_of(crd);
        self.own_crds.insert(name, Arc::new(crate::crd::completed(crd)));
        Ok(self)
    }

    /// The types that a CustomResourceDefinition would make this scheme serve: costly for large
    /// ones, so compile once and share.
    ///
    /// # Errors
    /// As [`Scheme::with_crd`].
    pub fn compile(&self, crd: &Value) -> Result<CompiledCrd, SchemeError> {
        crd::compile(crd, &self.definitions)
    }

    /// This scheme and further types. What is served already stays.
    #[must_use]
    pub fn extended<'a>(&self, types: impl Iterator<Item = &'a Arc<ResourceType>>) -> Self {
        let mut scheme = self.clone();
        for rt in types {
            scheme.types.entry(rt.key()).or_insert_with(|| Arc::clone(rt));
        }
        scheme
    }

    /// The CustomResourceDefinitions that are part of the program, by name, with all that the
    /// server fills in but what differs between clusters (uid, times, status).
    #[must_use]
    pub fn own_crds(&self) -> &BTreeMap<String, Arc<Value>> {
        &self.own_crds
    }

    /// The type served under a path.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ResourceType>> {
        self.types.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The type a document names.
    #[must_use]
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<ResourceType>> {
        self.types().find(|rt| rt.kind == kind && rt.api_version() == api_version)
    }

    /// All types, ordered by group, version and plural.
    pub fn types(&self) -> impl Iterator<Item = &Arc<ResourceType>> {
        self.types.values()
    }

    /// The schemas that references point to, by name.
    #[must_use]
    pub fn definitions(&self) -> &Map<String, Value> {
        &self.definitions
    }

    /// Whether anything is served in the group.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.types().any(|rt| rt.group == group)
    }

    /// Whether anything is served in the version of the group.
    #[must_use]
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.types().any(|rt| rt.group == group && rt.version == version)
    }

    /// Groups and their versions, the preferred one first; the core group is the empty name.
    #[must_use]
    pub fn group_versions(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for rt in self.types() {
            let versions = out.entry(&rt.group).or_default();
            if !versions.contains(&rt.version.as_str()) {
                versions.push(&rt.version);
            }
        }
        for versions in out.values_mut() {
            versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        }
        out
    }
}

/// How much a version is preferred: `v2` over `v1` over `v1beta2` over `v1alpha1` over `foo`.
fn rank(version: &str) -> (u8, u64, u64, std::cmp::Reverse<&str>) {
    let text = std::cmp::Reverse(version);
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, stage) = (rest[..end].parse().ok()?, &rest[end..]);
        let minor = |name: &str| stage.strip_prefix(name).and_then(|n| n.parse().ok());
        match (stage, minor("beta"), minor("alpha")) {
            ("", _, _) => Some((3, major, 0)),
            (_, Some(beta), _) => Some((2, major, beta)),
            (_, _, Some(alpha)) => Some((1, major, alpha)),
            _ => None,
        }
    });
    let (stage, major, minor) = parsed.unwrap_or((0, 0, 0));
    (stage, major, minor, text)
}

impl Rules {
    /// For schemas that refer to nothing.
    pub(crate) fn none() -> Self {
        Self {
            definitions: Arc::default(),
            cel: None,
            patterns: BTreeMap::new(),
            defaults: false,
            ownership: OnceLock::new(),
        }
    }

    /// Only the patterns of a schema that refers to nothing.
    pub(crate) fn patterns_of(schema: &Value) -> Result<Self, SchemeError> {
        let mut rules = Self::none();
        collect_patterns("", schema, &mut rules.patterns)?;
        Ok(rules)
    }

    /// Compiles the patterns, and for custom kinds the CEL rules, of a schema.
    fn compile(
        kind: &str,
        schema: &Value,
        definitions: Arc<Map<String, Value>>,
    ) -> Result<Self, SchemeError> {
        let mut patterns = BTreeMap::new();
        collect_patterns(kind, schema, &mut patterns)?;
        let broken = |(field, why)| SchemeError::Rule { kind: kind.to_owned(), field, why };
        let cel = RuleTree::compile(schema).map_err(broken)?;
        let (defaults, ownership) = (has_default(schema), OnceLock::new());
        Ok(Self { definitions, cel, patterns, defaults, ownership })
    }
}

fn has_default(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.get("default").is_some_and(|default| !default.is_null())
                || fields.iter().any(|(key, child)| key != "default" && has_default(child))
        }
        Value::Array(items) => items.iter().any(has_default),
        _ => false,
    }
}

fn collect_patterns(
    kind: &str,
    schema: &Value,
    into: &mut BTreeMap<String, Regex>,
) -> Result<(), SchemeError> {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !into.contains_key(pattern)
    {
        let regex = Regex::new(pattern).map_err(|error| SchemeError::Pattern {
            kind: kind.to_owned(),
            pattern: pattern.to_owned(),
            why: error.to_string(),
        })?;
        into.insert(pattern.to_owned(), regex);
    }
    let children = match schema {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    children.into_iter().try_for_each(|child| collect_patterns(kind, child, into))
}

#[cfg(test)]
mod tests;
