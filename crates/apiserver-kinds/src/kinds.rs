//! The table of built-in kinds: names, verbs, subresources. One row per kind and version, in the order in which
//! Kubernetes lists groups; recorded from the discovery documents of kube-apiserver 1.36.

mod core;
mod groups;

/// What may be done to most kinds.
pub const READ_WRITE: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
pub(crate) const WITHOUT_DELETECOLLECTION: &[&str] =
    &["create", "delete", "get", "list", "patch", "update", "watch"];
pub(crate) const CREATE: &[&str] = &["create"];
pub(crate) const READ: &[&str] = &["get", "list"];
pub(crate) const CHANGE: &[&str] = &["get", "patch", "update"];
pub(crate) const CONNECT: &[&str] = &["create", "delete", "get", "patch", "update"];

/// A built-in kind in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version, as `v1`.
    pub version: &'static str,
    /// Kind, as `Pod`.
    pub kind: &'static str,
    /// Plural name in paths, as `pods`.
    pub plural: &'static str,
    /// Short names for clients.
    pub short_names: &'static [&'static str],
    /// Categories for clients, as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// What may be done.
    pub verbs: &'static [&'static str],
    /// Paths below an object, sorted by name.
    pub subresources: &'static [Subresource],
    /// Fields a field selector may name beside `metadata.name` and `metadata.namespace`.
    pub selectable: &'static [&'static str],
    /// Whether objects are stored in this version. Others are a view of the stored one.
    pub storage: bool,
}

/// A path below an object, as `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subresource {
    /// The last segment of the path.
    pub name: &'static str,
    /// Group and version of the kind it takes and gives; both empty for those of the main kind.
    pub group_version: (&'static str, &'static str),
    /// The kind it takes and gives; empty for the main kind.
    pub kind: &'static str,
    /// What may be done.
    pub verbs: &'static [&'static str],
}

impl Kind {
    /// For people and clients: `pod`.
    #[must_use]
    pub fn singular(&self) -> String {
        self.kind.to_lowercase()
    }

    /// The name of its schema.
    #[must_use]
    pub fn definition(&self) -> String {
        let Self { version, kind, .. } = self;
        match self.group {
            "apiextensions.k8s.io" => {
                format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}")
            }
            "apiregistration.k8s.io" => {
                format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{version}.{kind}")
            }
            "" => format!("io.k8s.api.core.{version}.{kind}"),
            group => {
                let short = group.split('.').next().unwrap_or_default();
                format!("io.k8s.api.{short}.{version}.{kind}")
            }
        }
    }

    /// `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Group and version in which its objects are stored; see [`crate::convert`].
    #[must_use]
    pub fn stored_in(&self) -> (&'static str, &'static str) {
        match (self.storage, self.group) {
            (false, "events.k8s.io") => ("", "v1"),
            (false, "autoscaling") => ("autoscaling", "v2"),
            _ => (self.group, self.version),
        }
    }

    /// What is told to everybody who asks for it, since it is going away.
    #[must_use]
    pub fn deprecation(&self) -> Option<&'static str> {
        match (self.group, self.kind) {
            ("", "Endpoints") => {
                Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
            }
            ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+"),
            _ => None,
        }
    }

    /// Whether objects of the kind exist beyond a request: reviews and bindings do not.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.verbs.contains(&"watch")
    }

    /// Whether `/status` is served, so that the main path leaves status alone.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.subresources.iter().any(|sub| sub.name == "status")
    }

    /// Whether `metadata.generation` counts the changes of the declared part.
    #[must_use]
    pub fn has_generation(&self) -> bool {
        const COUNTED: &[&str] = &["Pod", "PodTemplate", "ReplicationController"];
        match self.group {
            "" => COUNTED.contains(&self.kind),
            "apps" => self.kind != "ControllerRevision",
            "networking.k8s.io" => !matches!(self.kind, "IPAddress" | "ServiceCIDR"),
            "resource.k8s.io" => self.kind == "ResourceSlice",
            "admissionregistration.k8s.io"
            | "apiextensions.k8s.io"
            | "batch"
            | "discovery.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "policy"
            | "scheduling.k8s.io" => true,
            _ => false,
        }
    }

    /// The subresource of that name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }
}

/// All rows, group by group.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    self::core::ROWS.iter().chain(groups::ROWS)
}

/// Where a group stands in discovery; groups of custom kinds come after these.
#[must_use]
pub fn group_rank(group: &str) -> Option<usize> {
    const ORDER: &[&str] = &[
        "",
        "apiregistration.k8s.io",
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "storage.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "node.k8s.io",
        "discovery.k8s.io",
        "resource.k8s.io",
        "flowcontrol.apiserver.k8s.io",
    ];
    ORDER.iter().position(|name| *name == group)
}

// How rows are written down.

/// The subresource of what has a status.
pub const STATUS: Subresource = own("status", CHANGE);
/// The subresource of what has replicas.
pub const SCALE: Subresource = of("scale", ("autoscaling", "v1"), "Scale", CHANGE);

const fn own(name: &'static str, verbs: &'static [&'static str]) -> Subresource {
    of(name, ("", ""), "", verbs)
}

const fn of(
    name: &'static str,
    group_version: (&'static str, &'static str),
    kind: &'static str,
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource { name, group_version, kind, verbs }
}

/// A namespaced kind of version v1 that can be read and written.
const fn row(group: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group,
        version: "v1",
        kind,
        plural,
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: READ_WRITE,
        subresources: &[],
        selectable: &[],
        storage: true,
    }
}

impl Kind {
    const fn cluster(self) -> Self {
        Self { namespaced: false, ..self }
    }

    const fn short(self, short_names: &'static [&'static str]) -> Self {
        Self { short_names, ..self }
    }

    const fn among(self, categories: &'static [&'static str]) -> Self {
        Self { categories, ..self }
    }

    const fn verbs(self, verbs: &'static [&'static str]) -> Self {
        Self { verbs, ..self }
    }

    const fn sub(self, subresources: &'static [Subresource]) -> Self {
        Self { subresources, ..self }
    }

    const fn select(self, selectable: &'static [&'static str]) -> Self {
        Self { selectable, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schemas::definitions;

    #[test]
    fn every_kind_has_a_schema_that_names_it() {
        for row in all() {
            let name = row.definition();
            let schema = definitions().get(&name);
            let found = schema.map(|schema| schema["x-kubernetes-group-version-kind"][0].clone());
            let wanted = serde_json::json!({"group": row.group, "version": row.version,
                "kind": row.kind});
            assert_eq!(found, Some(wanted), "{name}");
            assert!(group_rank(row.group).is_some(), "{name}");
        }
        assert_eq!(all().count(), 68);
    }

    #[test]
    fn subresources_are_sorted_and_status_comes_with_a_field() {
        for row in all() {
            assert!(row.subresources.is_sorted_by_key(|sub| sub.name), "{}", row.kind);
            let schema = &definitions()[&row.definition()]["properties"];
            assert!(!row.has_status() || schema.get("status").is_some(), "{}", row.kind);
        }
    }
}
