//! Groups of equal nodes.

use std::collections::BTreeMap;
use std::fmt;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::aks::AksPool;
use crate::eks::AwsResourceName;
use crate::free::{free_object, int_or_string};

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
    /// What the nodes are for; only AKS makes the difference. Absent: `User`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<PoolRole>,
    /// How the machines are bought. Absent: `OnDemand`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Whether newer node images of the same Kubernetes version are rolled out. Absent: `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_updates: Option<ImageUpdates>,
    /// How nodes are taken away when the pool changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<PoolUpdate>,
    /// Labels on the nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints on the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub taints: Vec<Taint>,
    /// What EKS needs to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eks: Option<EksPool>,
    /// What AKS needs to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aks: Option<AksPool>,
}

/// What nodes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PoolRole {
    /// The cluster's own programs too; AKS needs one such pool of one node at least.
    System,
    /// Yours.
    User,
}

/// Bounds of a pool; an autoscaler owns the size between them.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
// No messageExpression: on lists without a bound, real API servers judge `string(self.min)` too costly and refuse the CRD.
#[x_kube(validation = Rule::new("self.min <= self.max").message("min is above max"))]
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

/// How machines are bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Capacity {
    /// By the hour.
    OnDemand,
    /// Spare ones, which the cloud may take back.
    Spot,
    /// Reserved blocks.
    CapacityBlock,
}

/// Whether newer node images are rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImageUpdates {
    /// Only with a newer Kubernetes version.
    Never,
    /// In every maintenance window in which a newer image is there.
    InWindow,
}

/// How nodes are taken away when a pool changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolUpdate {
    /// Nodes that may be away at once: a number, or a share such as `25%`. Absent: the cloud's default, one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "int_or_string")]
    pub max_unavailable: Option<IntOrString>,
    /// How long pods are asked to leave a node that goes with its pool, for example `15m`. Absent: `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{1,5}(s|m|h)$"))]
    pub drain_timeout: Option<String>,
    /// What follows when they do not. Absent: `Wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_drain_timeout: Option<OnDrainTimeout>,
}

/// What follows when pods do not leave in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnDrainTimeout {
    /// Go on asking; a person is told what blocks.
    Wait,
    /// Take the node away all the same.
    Force,
}

/// A number, or a text such as `25%`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// A text.
    String(String),
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::String(text) => text.fmt(f),
        }
    }
}

/// A taint on nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taint {
    /// Its key.
    #[schemars(length(min = 1, max = 63))]
    pub key: String,
    /// Its value. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[allow(missing_docs, reason = "Kubernetes' own words")]
pub enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
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
    /// Size of each node's disk in GiB. Absent: EKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16384))]
    pub disk_size_gib: Option<i32>,
    /// An EC2 launch template of yours for the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_template: Option<LaunchTemplate>,
    /// Merged into the `CreateNodegroup` request (RFC 7396), in the API's own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub payload_patch: Option<Map<String, Value>>,
}

/// An EC2 launch template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaunchTemplate {
    /// Its id, for example `lt-0a`.
    #[schemars(length(min = 1, max = 255))]
    pub id: String,
    /// Its version, as a number.
    #[schemars(length(min = 1, max = 255))]
    pub version: String,
}
