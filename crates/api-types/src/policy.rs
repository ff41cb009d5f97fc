//! `ClusterPolicy`: security rules for the clusters that it selects.

use std::collections::BTreeMap;

use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// Security rules for the clusters that it selects.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[kube(
    group = "fleetwright.dev",
    version = "v1alpha1",
    kind = "ClusterPolicy",
    plural = "clusterpolicies",
    shortname = "fwp",
    category = "fleet",
    status = "ClusterPolicyStatus",
    derive = "PartialEq",
    crates(kube_core = "kube_core"),
    doc = "Security rules for the clusters that it selects.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Compliant", type_ = "string", json_path = ".status.compliant"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPolicySpec {
    /// Clusters by their labels. An empty selector selects every cluster.
    pub cluster_selector: LabelSelector,
    /// Namespaces of the member that the rules leave alone, beside the system ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceRules>,
    /// Pod Security Standards, by namespace labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurityRule>,
    /// Network rules, by NetworkPolicies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRule>,
}

/// A selector by exact labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// All of these must be present with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

impl LabelSelector {
    /// Whether `labels` hold all that is asked.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// Which namespaces of a member the rules apply to.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
pub struct NamespaceRules {
    /// Namespaces left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exclude: Vec<String>,
}

/// Whether a rule acts or only reports.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Mode {
    /// Report violations, change nothing.
    Audit,
    /// Make it so and keep it so.
    Enforce,
}

/// Pod Security Standards.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
pub struct PodSecurityRule {
    /// Enforce sets the `enforce` label of every namespace, Audit only reports where it is missing.
    pub mode: Mode,
    /// The standard. `restricted-v2` is read as Restricted.
    pub level: PodSecurityLevel,
    /// The version of the standard, for example `v1.34`. Absent: `latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(latest|v1\\.[0-9]{1,3})$"))]
    pub version: Option<String>,
}

/// A Pod Security Standard, from loose to strict.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum PodSecurityLevel {
    /// No restriction.
    Privileged,
    /// Known privilege escalations are refused.
    Baseline,
    /// Hardening best practice.
    Restricted,
}

impl PodSecurityLevel {
    /// The value of the namespace label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// Network rules.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct NetworkRule {
    /// Whether NetworkPolicies are written, or their absence is only reported.
    pub mode: Mode,
    /// Directions in which nothing passes unless another NetworkPolicy allows it. Egress leaves DNS open.
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub default_deny: Vec<Direction>,
}

/// A direction of traffic, seen from a pod.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Direction {
    /// Into the pod.
    Ingress,
    /// Out of the pod.
    Egress,
}

impl Direction {
    /// The value in `policyTypes`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }
}

/// How far the policy has come.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct ClusterPolicyStatus {
    /// The generation that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Compliant clusters of those selected, for example `11/12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliant: Option<String>,
    /// Sorted by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}
