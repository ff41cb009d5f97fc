//! `ManagedCluster`: one cluster, declared.

use std::collections::BTreeMap;

use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

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
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.eks)").message("exactly one provider block is needed: eks"))]
pub struct ManagedClusterSpec {
    /// What happens to the cloud when this object is deleted. Absent: `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// The Kubernetes version of the control plane, as MAJOR.MINOR. Upgrades walk one minor at a time; no downgrade.
    #[x_kube(validation = Rule::new(r"self.matches('^1\\.[0-9]{1,3}$')").message("must be MAJOR.MINOR, for example 1.34"))]
    pub version: String,
    /// The account to use: a cluster-scoped ProviderConfig whose `allowedNamespaces` names this namespace.
    pub provider_config_ref: LocalRef,
    /// Tags on everything we make, beside those of the ProviderConfig. Keys of `fleetwright.dev/` are ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('fleetwright.dev/'))").message("keys under fleetwright.dev/ are reserved"))]
    pub tags: BTreeMap<String, String>,
    /// An Amazon EKS cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eks: Option<EksSpec>,
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
        if self.eks.is_some() { Some("eks") } else { None }
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

/// An ARN as AWS writes it.
pub type AwsResourceName = String;

/// An Amazon EKS cluster.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.externalName) == has(oldSelf.externalName) && (!has(self.externalName) || self.externalName == oldSelf.externalName)").message("externalName is immutable"))]
pub struct EksSpec {
    /// The AWS region, for example `eu-west-1`. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("region is immutable"))]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]+$"))]
    pub region: String,
    /// The name of the cluster in EKS. Absent: derived from namespace and name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[0-9A-Za-z][0-9A-Za-z_-]*$"))]
    pub external_name: Option<String>,
    /// The IAM role of the control plane. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("roleArn is immutable"))]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: AwsResourceName,
    /// Where the control plane is attached.
    pub network: EksNetwork,
}

/// The network of an EKS control plane.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct EksNetwork {
    /// At least two subnets in different zones.
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub subnet_ids: Vec<String>,
}

/// A group of equal nodes.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct NodePool {
    /// Unique in the cluster; also the name of the node group.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// How many nodes.
    pub size: PoolSize,
    /// Labels on the nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What EKS needs to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eks: Option<EksPool>,
}

/// Bounds of a pool; an autoscaler owns the size between them.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[x_kube(validation = Rule::new("self.min <= self.max").message(Message::Expression("'min ' + string(self.min) + ' is above max ' + string(self.max)".into())))]
#[x_kube(validation = Rule::new("!has(self.initial) || (self.initial >= self.min && self.initial <= self.max)").message("initial must lie between min and max"))]
pub struct PoolSize {
    /// Never fewer.
    #[schemars(range(min = 0, max = 1000))]
    pub min: i32,
    /// Never more.
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// At birth only. Absent: `min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub initial: Option<i32>,
}

/// An EKS managed node group.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct EksPool {
    /// Subnets of the nodes. Absent: those of the control plane.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub subnet_ids: Vec<String>,
    /// EC2 instance types, best first. Absent: EKS chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub instance_types: Vec<String>,
    /// EKS AMI type, for example `AL2023_ARM_64_STANDARD`. Absent: EKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami_type: Option<String>,
    /// The IAM role of the nodes.
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: AwsResourceName,
}

/// What is known of the cluster. Everything here can be rebuilt from `spec` and the cloud.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterStatus {
    /// The generation that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The provider block in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What the cloud chose. Deletion works from here and from the tags, even when `spec` no longer validates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// What is under way. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The last failure, until the next success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// The Secret that tells clients how to reach the cluster, once it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret_ref: Option<LocalRef>,
    /// Short texts for `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<ClusterSummary>,
    /// Sorted by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// What the cloud chose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The cloud's own id of the cluster: an ARN on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The cluster's name in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_name: Option<String>,
    /// The region it lives in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The ProviderConfig through which it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_config: Option<String>,
    /// URL of the Kubernetes API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The running version of the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// EKS platform version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// Issuer of service account tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_issuer: Option<String>,
    /// Nodes wanted by all pools together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<i32>,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// For example `Create`, `Delete`.
    pub action: String,
    /// The part of it that runs now.
    pub step: String,
}

/// The last failure, coded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// One PascalCase word from the documented list.
    pub code: String,
    /// What failed, for which input, and what to do next.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// `Yes` when the same call may succeed later without anybody changing anything.
    pub retryable: Answer,
    /// `Yes` when the user can do something about it.
    pub user_actionable: Answer,
    /// The provider's id of the failed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Short texts for `kubectl get`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSummary {
    /// Compliant policies of those that select the cluster, for example `12/12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<String>,
    /// SHA-256 of the merged rules that were last applied whole, so that a policy can tell whether its own are among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_rules: Option<String>,
}

/// How to reach a member's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// URL of the API.
    pub endpoint: String,
    /// The certificate authority as PEM.
    pub certificate_authority: String,
}

/// Yes or no, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Answer {
    /// It is so.
    Yes,
    /// It is not.
    No,
}

impl From<bool> for Answer {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}
