//! `ManagedCluster`: one cluster, declared.

use std::collections::BTreeMap;

use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aks::AksSpec;
use crate::eks::EksSpec;
use crate::k3s::K3sSpec;
use crate::maintenance::Maintenance;
use crate::node_pool::NodePool;
use crate::registration::Registration;
use crate::status::ManagedClusterStatus;

/// One Kubernetes cluster that Fleetwright provisions and keeps as declared.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[kube(
    group = "fleetwright.dev",
    version = "v1alpha1",
    kind = "ManagedCluster",
    plural = "managedclusters",
    shortname = "fwc",
    category = "fleet",
    namespaced,
    status = "ManagedClusterStatus",
    derive = "PartialEq",
    crates(kube_core = "kube_core"),
    doc = "One Kubernetes cluster that Fleetwright provisions and keeps as declared.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".status.provider"),
    printcolumn(name = "Region", type_ = "string", json_path = ".status.observed.region"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.observed.version"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Synced",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Synced")].status"#
    ),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.observed.nodes"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".status.summary.policies"),
    printcolumn(
        name = "Drift",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="DriftFree")].reason"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.eks), has(self.aks), has(self.k3s)].exists_one(given, given)").message("exactly one provider block is needed: eks, aks or k3s"))]
#[x_kube(validation = Rule::new("has(self.eks) == has(oldSelf.eks) && has(self.aks) == has(oldSelf.aks) && has(self.k3s) == has(oldSelf.k3s)").message("the provider block cannot change for another: make a new object"))]
#[x_kube(validation = Rule::new("has(self.k3s) == self.version.startsWith('v')").message("version is a release of K3s with k3s, for example v1.34.2+k3s1, and MAJOR.MINOR elsewhere"))]
#[x_kube(validation = Rule::new("!has(self.k3s) || !has(self.nodePools)").message("nodePools are for clouds: k3s takes hosts, as servers and agents"))]
#[x_kube(validation = Rule::new("!has(self.connection) || self.connection.type != 'Ssh' || has(self.k3s)").message("connection Ssh goes with k3s only"))]
pub struct ManagedClusterSpec {
    /// How far we may go. Absent: `Manage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ManagementMode>,
    /// Whether the cluster exists already. Absent: `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// What happens to the cloud when this object is deleted. Absent: `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// The Kubernetes version of the control plane, as MAJOR.MINOR; for K3s its release, for example `v1.34.2+k3s1`. Upgrades walk
    /// one minor at a time; no downgrade.
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(r"self.matches('^(1\\.[0-9]{1,3}|v1\\.[0-9]{1,3}\\.[0-9]{1,3}[+]k3s[0-9]{1,3})$')").message("must be MAJOR.MINOR, for example 1.34"))]
    pub version: String,
    /// The account to use: a cluster-scoped ProviderConfig whose `allowedNamespaces` names this namespace.
    pub provider_config_ref: LocalRef,
    /// Tags on everything we make, beside those of the ProviderConfig. Keys of `fleetwright.dev/` are ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('fleetwright.dev/'))").message("keys under fleetwright.dev/ are reserved"))]
    pub tags: BTreeMap<String, String>,
    /// How we reach the cluster's own API. Absent: directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionSpec>,
    /// When disruptive work may start. Absent: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// Where else the cluster is made known. Absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// An Amazon EKS cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eks: Option<EksSpec>,
    /// An Azure AKS cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aks: Option<AksSpec>,
    /// A K3s cluster on given hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s: Option<K3sSpec>,
    /// Groups of equal nodes. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub node_pools: Vec<NodePool>,
}

impl ManagedClusterSpec {
    /// The key of the provider block that is given. One block is given at most; the schema sees to that.
    #[must_use]
    pub const fn provider(&self) -> Option<&'static str> {
        if self.eks.is_some() {
            Some("eks")
        } else if self.aks.is_some() {
            Some("aks")
        } else if self.k3s.is_some() {
            Some("k3s")
        } else {
            None
        }
    }
}

/// What happens to the cloud when the object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Let go: the cluster lives on untouched but for our tag, which becomes `fleetwright.dev/released`.
    Retain,
    /// Delete the cluster and all we made for it, once confirmed by annotation `fleetwright.dev/confirm-delete: <uid>`.
    Delete,
}

/// A reference by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalRef {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How far we may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementMode {
    /// Create, keep as declared, delete.
    Manage,
    /// Create what is missing; afterwards change and delete nothing but what leaves with the object itself.
    CreateOnly,
    /// Look only: no write to the cloud, not even a tag.
    Observe,
}

/// Whether the cluster exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    /// It is ours from birth: a name that is taken by somebody else is a conflict.
    Never,
    /// It must exist, is never created, and becomes ours by our tags.
    Existing,
}

/// How we reach the cluster's own API.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'HttpProxy') == has(self.proxyUrl)").message("proxyUrl goes with type HttpProxy, and only with it"))]
#[x_kube(validation = Rule::new("self.type != 'Agent'").message("type Agent is reserved and not built yet; use Direct, HttpProxy or Ssh"))]
pub struct ConnectionSpec {
    /// The way.
    #[serde(rename = "type")]
    pub type_: ConnectionType,
    /// The proxy that takes CONNECT, for example `http://proxy.example:3128`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^https?://[^/@]+$"))]
    pub proxy_url: Option<String>,
}

/// The way to a cluster's own API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionType {
    /// Straight to its endpoint.
    Direct,
    /// Through an HTTP proxy.
    HttpProxy,
    /// As its hosts are reached: through SSH, so that its API needs no exposure. K3s only.
    Ssh,
    /// Through an agent in the cluster that calls out to us. Reserved: refused until it is built.
    Agent,
}
