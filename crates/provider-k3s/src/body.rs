//! The provider's own JSON in declarations and steps. Holds texts and names, never a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hosts::{ManagedFile, Role};

/// Where a cluster keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Store {
    EmbeddedEtcd,
    Sqlite,
    External,
}

/// How K3s gets onto hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    Download,
    Airgap,
    Preinstalled,
    Script,
}

/// Names of the Secrets that become files, in the object's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretNames {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registries: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) s3: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datastore: Option<String>,
}

/// What all hosts of a cluster share: the body of `DesiredCluster`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterBody {
    pub(crate) name: String,
    /// The declared release, `v1.34.2+k3s1`.
    pub(crate) version: String,
    /// Releases on the way to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) path: Vec<String>,
    pub(crate) store: Store,
    pub(crate) source: Way,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mirror: Option<String>,
    #[serde(default)]
    pub(crate) secrets: SecretNames,
    /// Servers in the order in which they are declared.
    pub(crate) servers: Vec<String>,
    /// Agents that may be away at once: a number, or a share such as `25%`.
    pub(crate) max_unavailable: String,
    pub(crate) drain_timeout_s: u64,
    /// Whether pods that do not leave in time are deleted.
    pub(crate) force: bool,
    /// Whether what is there may become ours.
    pub(crate) adopts: bool,
}

/// Files by their path on the host; texts that are no secrets.
pub(crate) type Texts = BTreeMap<ManagedFile, String>;

/// What one host shall be: the body of its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HostBody {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// It comes and goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) intermittent: bool,
    /// All files but the configuration and what holds secrets.
    pub(crate) files: Texts,
    /// The configuration of one that begins the cluster; servers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) begins: Option<String>,
    /// The configuration of one that joins.
    pub(crate) joins: String,
    /// That names the host itself as the server to join at: it can begin a cluster, and join none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) joins_itself: bool,
}

/// What a step does on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Deed {
    /// Bring it to what is wanted, in as many acts as it takes; a K3s that runs is not disturbed.
    Bring,
    /// The same, and K3s restarts where files ask for it.
    Restart,
    /// The same, and it becomes another version, after its pods were asked to leave.
    Turn,
    /// Restart K3s, so that it renews its certificates.
    Renew,
    /// Ask its pods to leave, since it goes.
    Empty,
    /// Let pods come back.
    Open,
}

/// The body of every step that we plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) deed: Deed,
    pub(crate) cluster: ClusterBody,
    /// Absent for hosts that are no longer declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<HostBody>,
    /// Its name, declared or not.
    pub(crate) name: String,
    /// The release it is brought to.
    pub(crate) version: String,
    /// It begins the cluster: the only one that may start without a token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) begins: bool,
    /// A node of this name is left from another machine, and goes first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) replaces_node: bool,
}

impl Task {
    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(crate) fn read(body: &Value) -> Option<Self> {
        serde_json::from_value(body.clone()).ok()
    }
}
