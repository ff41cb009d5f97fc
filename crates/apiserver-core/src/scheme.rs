//! Which kinds a logical cluster serves, and everything that sets one kind apart from another.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use regex::Regex;
use serde_json::{Map, Value};

use crate::jsonpath::{JsonPath, JsonPathError};
use crate::request::RequestInfo;
use crate::status::ApiError;
use crate::validate::cel::RuleTree;

mod builtin;
mod crd;

const READ_WRITE: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const WITHOUT_DELETECOLLECTION: &[&str] =
    &["create", "delete", "get", "list", "patch", "update", "watch"];

/// The subresource of pods that deletes them unless a PodDisruptionBudget forbids it. It takes a
/// kind of its own, `policy/v1` Eviction.
pub const EVICTION_SUBRESOURCE: &str = "eviction";

/// One kind in one version.
#[derive(Debug)]
pub struct ResourceType {
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
    /// Number of entries in these maps or lists together.
    Count(Vec<JsonPath>),
    /// Computed for one built-in kind.
    Computed(fn(&Value) -> Value),
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

    /// `Secret` or `ManagedCluster.fleetwright.dev`.
    #[must_use]
    pub fn group_kind(&self) -> String {
        qualified(&self.kind, &self.group)
    }

    /// The verbs discovery announces.
    #[must_use]
    pub fn verbs(&self) -> &'static [&'static str] {
        if self.is("", "namespaces") { WITHOUT_DELETECOLLECTION } else { READ_WRITE }
    }

    /// The subresources served, each with its verbs.
    #[must_use]
    pub fn subresources(&self) -> &'static [(&'static str, &'static [&'static str])] {
        const STATUS: (&str, &[&str]) = ("status", &["get", "patch", "update"]);
        const FINALIZE: (&str, &[&str]) = ("finalize", &["update"]);
        const EVICTION: (&str, &[&str]) = (EVICTION_SUBRESOURCE, &["create"]);
        if self.is("", "namespaces") {
            &[FINALIZE, STATUS]
        } else if self.is("", "pods") {
            &[EVICTION, STATUS]
        } else if self.has_status {
            &[STATUS]
        } else {
            &[]
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
            let verbs = self.subresources().iter().find(|(name, _)| name == wanted);
            let (_, verbs) = verbs.ok_or_else(ApiError::path_not_found)?;
            return if verbs.contains(&request.verb.as_str()) {
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

    /// Whether this is the given group and plural.
    #[must_use]
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// The kinds of a logical cluster. Cheap to clone; immutable once built.
#[derive(Debug, Clone)]
pub struct Scheme {
    /// By group, version and plural: the order in which discovery lists them.
    types: BTreeMap<(String, String, String), Arc<ResourceType>>,
    definitions: Arc<Map<String, Value>>,
}

impl Scheme {
    /// The built-in kinds: those of core/v1, apps/v1, networking, coordination, policy and
    /// admission registration that Fleetwright reads or writes, on the hub or on a member. Only
    /// ValidatingAdmissionPolicies act; nothing runs a StatefulSet or fills a PersistentVolume.
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
        for rt in crd::types(crd, &self.definitions)? {
            let key = (rt.group.clone(), rt.version.clone(), rt.plural.clone());
            if self.types.contains_key(&key) {
                return Err(SchemeError::Taken { group_resource: rt.group_resource() });
            }
            self.types.insert(key, Arc::new(rt));
        }
        Ok(self)
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
        Ok(Self { definitions, cel, patterns })
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::{Route, route};
    use crate::testing::{scheme, ship_crd};

    /// Kinds are shared between threads and logical clusters.
    const fn is_shareable<T: Send + Sync>() {}
    const _: () = is_shareable::<Scheme>();

    #[test]
    fn the_builtin_kinds_are_all_there_with_schemas_and_columns() {
        let scheme = Scheme::builtin();
        let names: Vec<String> = scheme.types().map(|rt| rt.group_resource()).collect();
        let wanted = [
            "configmaps",
            "events",
            "namespaces",
            "nodes",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "secrets",
            "serviceaccounts",
            "services",
            "validatingadmissionpolicies.admissionregistration.k8s.io",
            "validatingadmissionpolicybindings.admissionregistration.k8s.io",
            "statefulsets.apps",
            "leases.coordination.k8s.io",
            "ingresses.networking.k8s.io",
            "networkpolicies.networking.k8s.io",
            "poddisruptionbudgets.policy",
        ];
        assert_eq!(names, wanted);
        for rt in scheme.types() {
            assert_eq!(rt.schema["type"], "object", "{}", rt.kind);
            assert!(rt.columns.len() >= 2, "{}", rt.kind);
        }
        let secret = scheme.find_kind("v1", "Secret").map(|rt| rt.plural.clone());
        assert_eq!(secret.as_deref(), Some("secrets"));
    }

    #[test]
    fn a_custom_kind_takes_its_names_from_the_crd() {
        let scheme = scheme();
        let found = scheme.find("sea.example.com", "v1", "ships").map(|rt| {
            assert_eq!(rt.api_version(), "sea.example.com/v1");
            assert_eq!(rt.group_kind(), "Ship.sea.example.com");
            assert_eq!((rt.singular.as_str(), rt.list_kind().as_str()), ("ship", "ShipList"));
            assert_eq!(rt.selectable_fields, ["spec.flag"]);
            (rt.namespaced, rt.has_status, rt.custom, rt.storage)
        });
        assert_eq!(found, Some((true, true, true, true)));
        assert!(
            scheme.has_group("sea.example.com") && !scheme.has_version("sea.example.com", "v2")
        );
        assert!(matches!(scheme.with_crd(&ship_crd()), Err(SchemeError::Taken { .. })));
    }

    fn refused(pointer: &str, value: Value) -> String {
        let mut crd = ship_crd();
        if let Some(place) = crd.pointer_mut(pointer) {
            *place = value;
        }
        Scheme::builtin().with_crd(&crd).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_could_not_be_checked_later_is_refused_at_registration() {
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        for (pointer, value, wanted) in [
            ("/kind", json!("Secret"), "not an apiextensions.k8s.io/v1 CustomResourceDefinition"),
            ("/spec/names/plural", json!(""), "lacks spec.names.plural"),
            ("/spec/versions/0/schema", json!({}), "lacks spec.versions[].schema"),
            ("/spec/versions/0/storage", json!(false), "exactly one version"),
            (
                &format!("{spec}/properties/code/type"),
                json!("strng"),
                "not structural at \".spec.code\"",
            ),
            (
                &format!("{spec}/properties/tags/items"),
                json!(null),
                "not structural at \".spec.tags\"",
            ),
            (&format!("{spec}/properties/code/pattern"), json!("["), "pattern \"[\""),
            (&format!("{spec}/x-kubernetes-validations/0/rule"), json!("self.("), "at .spec"),
            (
                &format!("{spec}/x-kubernetes-validations/1/messageExpression"),
                json!("'"),
                "at .spec",
            ),
            (
                &format!(
                    "{spec}/properties/holds/items/properties/size/x-kubernetes-validations/0/rule"
                ),
                json!("self >"),
                "at .spec.holds[*].size",
            ),
            (
                "/spec/versions/0/additionalPrinterColumns/0/jsonPath",
                json!("{.a}"),
                "column \"Flag\"",
            ),
        ] {
            let text = refused(pointer, value);
            assert!(text.contains(wanted), "{pointer}: {text:?}");
        }
    }

    #[test]
    fn the_most_mature_version_is_preferred() {
        let mut versions = vec!["foo", "v1alpha1", "v2", "v1beta2", "v10", "v1beta10", "bar"];
        versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        assert_eq!(versions, ["v10", "v2", "v1beta10", "v1beta2", "v1alpha1", "bar", "foo"]);
    }

    #[test]
    fn paths_that_make_no_sense_for_a_kind_are_refused() {
        let scheme = scheme();
        for (method, path, wanted) in [
            ("GET", "/api/v1/namespaces/n/configmaps/a", None),
            ("GET", "/api/v1/configmaps", None),
            ("PUT", "/api/v1/namespaces/n/status", None),
            ("PUT", "/api/v1/namespaces/n/finalize", None),
            ("PATCH", "/apis/sea.example.com/v1/namespaces/n/ships/a/status", None),
            ("POST", "/api/v1/configmaps", Some(405)),
            ("DELETE", "/api/v1/configmaps", Some(405)),
            ("DELETE", "/api/v1/namespaces", Some(405)),
            ("PATCH", "/api/v1/namespaces/n/finalize", Some(405)),
            ("GET", "/api/v1/namespaces/n/nodes", Some(404)),
            ("GET", "/api/v1/configmaps/a", Some(404)),
            ("GET", "/api/v1/namespaces/n/configmaps/a/foo", Some(404)),
        ] {
            let Ok(Route::Resource(request)) = route(method, path, "") else {
                assert_eq!(path, "a resource");
                continue;
            };
            let rt = scheme.find(&request.group, &request.version, &request.resource);
            let code = rt.map(|rt| rt.check(&request).err().map(|error| error.code()));
            assert_eq!(code, Some(wanted), "{method} {path}");
        }
    }
}
