//! What a look writes into a snapshot's bodies, and `diff` reads there. Holds digests, never a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hosts::{ClusterFacts, Digest, HostFacts, K3sVersion, Member, Node};
use crate::wanted::{Releases, SecretDigests};

/// The body of a part: one host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenHost {
    /// Where it was reached.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The release that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// One that comes and goes, and does not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) away: bool,
    /// A person gave it up, and its node is still in the cluster.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) abandoned: bool,
    /// When it was looked at, by our clock, in seconds since 1970.
    #[serde(default)]
    pub(crate) seen_s: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) facts: Option<HostFacts>,
}

/// The first certificate to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FirstEnd {
    pub(crate) host: String,
    pub(crate) file: String,
    /// In seconds since 1970.
    pub(crate) not_after: i64,
}

/// The body of the control plane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeenControlPlane {
    /// What the first server that is ready says of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<ClusterFacts>,
    #[serde(default)]
    pub(crate) secrets: SecretDigests,
    /// Secrets that are missing or lack a key: field of the object, and what is wrong.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) missing: BTreeMap<String, String>,
    /// Of the line that others join with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Digest>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) releases: Releases,
    /// Hosts without K3s and without a marker, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) fresh: BTreeMap<String, SeenHost>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificates: Option<FirstEnd>,
}

impl SeenHost {
    pub(crate) fn read(body: &Value) -> Self {
        serde_json::from_value(body.clone()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl SeenControlPlane {
    pub(crate) fn read(body: &Value) -> Self {
        serde_json::from_value(body.clone()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Whether a node carries the control plane.
pub(crate) fn is_server(node: &Node) -> bool {
    node.etcd != Member::None || node.roles.iter().any(|role| role == "control-plane")
}

/// The lowest release that servers run: by their nodes, and where the cluster does not answer by their binaries.
pub(crate) fn lowest<'a>(
    cluster: Option<&ClusterFacts>,
    servers: impl Iterator<Item = &'a HostFacts>,
) -> Option<K3sVersion> {
    let of_nodes = cluster.and_then(|cluster| {
        let nodes = cluster.nodes.iter().filter(|node| is_server(node));
        nodes.filter_map(|node| K3sVersion::parse(&node.version).ok()).min()
    });
    let of_binaries =
        servers.filter_map(|facts| K3sVersion::parse(facts.version.as_deref()?).ok()).min();
    of_nodes.or(of_binaries)
}
